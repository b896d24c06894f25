"""Shortlists for any split of the domains, and masks learned from them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codingspot.errors import ArtefactError, SelectionError
from codingspot.learning import Split, domain_losses, learn_mask
from codingspot.spot.candidates import names_in


def summed(learner, names) -> torch.Tensor:
    """The domains' summed magnitudes over the blocks, minus infinity elsewhere: what the recipe sum ranks by."""
    layout = learner.store.layout
    keys = torch.full((layout.total,), -torch.inf)
    for name in names_in(layout, "blocks"):
        keys[layout.slice(name)] = sum(learner.store.tensor(domain, name).abs().flatten() for domain in names)
    return keys


@pytest.fixture
def by_sum(learner):
    return learner.__class__(**{**learner.__dict__, "recipe": "sum"})


def test_a_split_needs_two_sides_that_share_nothing() -> None:
    with pytest.raises(SelectionError, match="a domain to remove and one to keep"):
        Split((), ("english",))
    with pytest.raises(SelectionError, match="both removes and keeps 'go'"):
        Split(("go", "rust"), ("english", "go"))
    split = Split(("go",), ("english",))
    assert [split.part(name) for name in ("go", "english", "rust")] == ["removed", "kept", "neither"]


def test_its_own_split_is_code_against_general(learner) -> None:
    assert learner.split == Split(("go", "java", "rust"), ("english", "stories"))


@pytest.mark.parametrize("removed", [("go", "rust"), ("english",)])
def test_the_shortlist_ranks_by_the_domains_to_remove_whatever_their_kind(by_sum, removed) -> None:
    found = by_sum.shortlist(Split(removed, ("java",)))
    n = found.count(6.0)
    expected = summed(by_sum, removed).argsort(descending=True, stable=True)[:n]
    assert torch.equal(found.positions, expected)
    assert found.metadata["general"] == ["java"]


def test_excluded_parameters_are_passed_over_and_their_places_filled(by_sum) -> None:
    split = Split(("go",), ("english",))
    order = summed(by_sum, ["go"]).argsort(descending=True, stable=True)
    excluded = order[torch.tensor([0, 3, 4, 50, 10_000 % len(order)])]
    found = by_sum.shortlist(split, excluded=excluded)
    kept = [position for position in order.tolist() if position not in set(excluded.tolist())]
    assert found.positions.tolist() == kept[: found.count(6.0)]


def test_what_a_domain_to_keep_needs_is_left_out(learner) -> None:
    """Set difference drops the top 20% of each domain that is to be kept, also where it is a language."""
    found = learner.shortlist(Split(("english",), ("rust",)))
    keys = summed(learner, ["rust"])
    dropped = keys.argsort(descending=True)[: round(0.2 * int(torch.isfinite(keys).sum()))]
    assert not set(found.positions.tolist()) & set(dropped.tolist())


def test_a_mask_is_that_of_learn_mask_on_the_split(learner) -> None:
    split = Split(("go", "english"), ("rust",))
    mask, cost = learner.learn(split, seed=3)
    settings = learner.settings.__class__(**{**learner.settings.__dict__, "seed": 3})
    alone = learn_mask(
        learner.loaded,
        {name: learner.texts[name] for name in split.removed},
        {"rust": learner.texts["rust"]},
        learner.shortlist(split),
        settings,
    )
    assert torch.equal(mask.spot.positions, alone.spot.positions)
    assert mask.spot.metadata["languages"] == ["go", "english"]
    # 4 steps of 2 sequences, validations before steps 0 and 2 and at the end, of 2 sequences at 2 doses: of both kinds.
    assert cost.steps == 4
    assert cost.tokens == 2 * 8 * (4 * 2 + 3 * 2 * 2)
    assert cost.seconds > 0


def test_unknown_domains_are_refused(learner) -> None:
    with pytest.raises(SelectionError, match="no text of 'c'"):
        learner.learn(Split(("c",), ("english",)))
    with pytest.raises(ArtefactError, match="no domain 'c'"):
        learner.shortlist(Split(("c",), ("english",)))


@given(cut=st.integers(1, 11))
def test_a_domains_loss_is_that_of_its_parts(cut) -> None:
    """Over an embedding as model, whose loss is known: the mean over all predicted tokens."""
    ids = torch.randint(0, 6, (12, 5), generator=torch.Generator().manual_seed(cut))
    loaded, table = bigram()
    log_probabilities = torch.log_softmax(table.double(), dim=1).numpy()
    expected = -np.mean([log_probabilities[row[i], row[i + 1]] for row in ids.tolist() for i in range(4)])
    packed = {"all": packed_ids(ids), "first": packed_ids(ids[:cut])}
    measured = domain_losses(loaded, packed)()
    assert measured["all"] == pytest.approx(expected, rel=1e-5)
    rest = domain_losses(loaded, {"rest": packed_ids(ids[cut:])})()["rest"]
    assert measured["all"] == pytest.approx((cut * measured["first"] + (12 - cut) * rest) / 12, rel=1e-5)


def packed_ids(ids: torch.Tensor):
    from codingspot.corpus import PackedTokens

    return PackedTokens("x", ids, documents=1, duplicates=0)


def bigram():
    from types import SimpleNamespace

    class Bigram(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Parameter(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))

        def forward(self, input_ids, use_cache):
            return SimpleNamespace(logits=self.table[input_ids])

    model = Bigram()
    return SimpleNamespace(model=model), model.table.detach()


def test_a_loss_that_is_not_a_number_is_infinite(loaded) -> None:
    """So that it counts as harm, and compares with other losses."""
    with torch.no_grad():
        loaded.model.lm_head.weight.fill_(torch.nan)
    measure = domain_losses(loaded, {"any": packed_ids(torch.zeros(4, 5, dtype=torch.int64))})
    assert measure() == {"any": torch.inf}
