import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from codingspot.errors import SelectionError
from codingspot.spot import Variant, agreement, budget_curve, smallest_agreeing_budget


def test_agreement_by_hand(make_store, random_scores) -> None:
    same, other = random_scores(0), random_scores(1)
    variants = {
        "one": Variant(make_store("1", Go=same)),
        "negated": Variant(make_store("2", Go=-3 * same)),
        "other": Variant(make_store("3", Go=other)),
    }
    table = agreement(variants, [12.5, 50]).set_index(["first", "second", "k_percent"])
    assert len(table) == 6
    assert table.loc[("one", "negated", 12.5)].to_dict() == {
        "jaccard": 1.0,
        "expected_jaccard": 1 / 15,
        "spearman": pytest.approx(1.0),
    }
    tops = [set(torch.argsort(values.abs(), descending=True)[:32].tolist()) for values in (same, other)]
    found = table.loc[("one", "other", 50)]
    assert found["jaccard"] == len(tops[0] & tops[1]) / len(tops[0] | tops[1])
    assert found["spearman"] == pytest.approx(spearmanr(same.abs(), other.abs()).statistic)


def test_recipes_and_aggregations_of_one_store(make_store, random_scores) -> None:
    store = make_store(A=random_scores(0), B=random_scores(1), C=random_scores(2), English=random_scores(3))
    variants = {
        "sum": Variant(store),
        "median": Variant(store, parameters={"aggregation": "median"}),
        "contrast": Variant(store, "set_difference", {"general_percent": 50}),
        "consensus": Variant(store, "consensus"),
    }
    table = agreement(variants, [12.5], scope="blocks")
    assert len(table) == 6
    pair = table.set_index(["first", "second"])["spearman"]
    # What the contrast leaves is ordered by the same sum.
    assert pair["sum", "contrast"] == pytest.approx(1.0)
    assert pair["sum", "median"] < 0.99
    assert table["spearman"].notna().all()


def test_the_sample_is_seeded_and_close_to_the_whole(make_store, random_scores) -> None:
    both = random_scores(0)
    variants = {
        "one": Variant(make_store("1", Go=both)),
        "near": Variant(make_store("2", Go=both + 0.1 * random_scores(1))),
    }
    whole, sample, again, other = (
        float(agreement(variants, [10], sample=size, seed=seed)["spearman"].iloc[0])
        for size, seed in ((64, 0), (40, 0), (40, 0), (40, 1))
    )
    assert sample == again != other
    assert sample == pytest.approx(whole, abs=0.1)


def test_different_models_are_refused(make_store, random_scores, tmp_path) -> None:
    from codingspot.importance import NewDomainScores, ScoreStore

    small = ScoreStore.write(tmp_path / "small", [NewDomainScores("Go", "code", {"a": torch.ones(3)})])
    with pytest.raises(SelectionError, match="different models"):
        agreement({"one": Variant(make_store(Go=random_scores(0))), "small": Variant(small)}, [10])


def test_curve_and_smallest_agreeing_budget(make_store, random_scores) -> None:
    signal = 3 * random_scores(0)
    draws = {
        budget: [make_store(f"{budget}-{seed}", Go=signal + random_scores(seed) / budget**0.5) for seed in range(1, 4)]
        for budget in (10000, 1, 100)
    }
    curve = budget_curve(draws, [12.5, 25])
    assert curve[["token_budget", "k_percent"]].values.tolist() == [
        [budget, k] for budget in (1, 100, 10000) for k in (12.5, 25)
    ]
    assert (curve["pairs"] == 3).all()
    means = curve[curve["k_percent"] == 25]
    assert means["jaccard"].is_monotonic_increasing
    assert means["spearman"].is_monotonic_increasing
    assert (curve["lowest_jaccard"] <= curve["jaccard"]).all()
    with pytest.raises(SelectionError, match="token budget 5 has 1 draw"):
        budget_curve({5: draws[1][:1]}, [10])


@pytest.mark.parametrize(
    ("jaccards", "threshold", "budget"),
    [
        ([0.5, 0.8, 0.9], 0.75, 2000),
        ([0.8, 0.7, 0.9], 0.75, 4000),  # agreement that is lost again does not count
        ([0.8, 0.8, 0.9], 0.75, 1000),
        ([0.8, 0.9, 0.7], 0.75, None),
    ],
)
def test_smallest_agreeing_budget(jaccards, threshold, budget) -> None:
    curve = pd.DataFrame({"token_budget": [1000, 2000, 4000], "k_percent": 1.0, "jaccard": jaccards})
    better = curve.assign(k_percent=2.0, jaccard=1.0)
    assert smallest_agreeing_budget(pd.concat([curve, better]), threshold) == budget


def test_a_recipe_s_languages_may_be_named(make_store, random_scores) -> None:
    store = make_store(Go=random_scores(0), Rust=random_scores(1))
    variants = {"both": Variant(store), "go": Variant(store, "sum", {"languages": ["Go"]})}
    assert agreement(variants, [10])["spearman"].item() < 1
