import pytest
import torch

from codingspot.ablation import EDITS
from codingspot.corpus import Corpus, Domain, pack
from codingspot.importance import score
from codingspot.models import OutputHead, load_model, unique_parameters
from codingspot.spot import Scaled, Spot, find_spot, predicted_changes
from codingspot.testbed.shipped import shipped_model
from codingspot.testbed.world import general_english, pure_code


def test_sums_by_hand(make_store) -> None:
    go = torch.zeros(64)
    go[[40, 2, 41]] = torch.tensor([3.0, -1.0, 0.5])
    store = make_store(Go=go, English=-2 * go)
    spot = Spot(torch.tensor([41, 2, 40]), torch.zeros(3), store.layout)
    one, three = 100 / 64, 300 / 64
    (found,) = predicted_changes(store, [Scaled(spot, (one, three))])
    table = found.set_index(["domain", "k_percent"])["predicted"]
    assert table["Go", one] == pytest.approx(-0.5)
    assert table["Go", three] == pytest.approx(-2.5)
    assert table["English", three] == pytest.approx(5.0)
    factor = EDITS.traits("scale", {"alpha": 0.5}).factor or 0
    (halved,) = predicted_changes(store, [Scaled(spot, (three,), factor)])
    assert halved["predicted"].tolist() == pytest.approx([-1.25, 2.5])


def test_edits_that_multiply_have_a_factor() -> None:
    assert [EDITS.traits(edit).factor for edit in ("zero", "amplify", "sign_flip", "noise", "keep_only")] == [
        0.0,
        1.1,
        -1.0,
        None,
        None,
    ]


def test_a_small_edit_of_a_model_changes_its_loss_as_predicted(tmp_path) -> None:
    """The prediction is exact to first order: for a hundredth of the step its error is small beside the change."""
    loaded = load_model(shipped_model())
    corpus = Corpus(
        "two",
        (Domain("go", "code", tuple(pure_code("go", 30, 3))), Domain("en", "general", tuple(general_english(30, 3)))),
    )
    store = score(loaded, corpus, tmp_path / "scores", token_budget=512, sequence_length=128)
    assert store.traits.first_order
    spot = find_spot(store, scope="blocks", max_k_percent=1)
    factor = 0.99
    (table,) = predicted_changes(store, [Scaled(spot, (1,), factor)])
    predicted = table.set_index("domain")["predicted"]

    for domain in corpus.domains:
        ids = pack(domain, loaded.tokenizer, sequence_length=128, token_budget=512, seed=0).input_ids
        with torch.no_grad():
            before = float(OutputHead(loaded.model).text_loss(ids))
            for name, located in spot.layout.locate(spot.positions).items():
                unique_parameters(loaded.model)[name].view(-1)[located.offsets] *= factor
            after = float(OutputHead(loaded.model).text_loss(ids))
            for name, located in spot.layout.locate(spot.positions).items():
                unique_parameters(loaded.model)[name].view(-1)[located.offsets] /= factor
        actual = (after - before) / (ids.shape[0] * (ids.shape[1] - 1))
        assert predicted[domain.name] == pytest.approx(actual, rel=0.3, abs=2e-5)
