"""What a cell's tasks are asked, decided by its losses and the study alone: no model is run."""

import math

import pandas as pd
import pytest

from codingspot.study.asking import asked_rows, beyond_uniform, notes, what_is_asked
from codingspot.study.cells import Asked, Cell
from codingspot.study.evaluation_section import EvaluationSection

VOCABULARY = 1000
UNIFORM = math.log(VOCABULARY)


def _losses(cell: str, **means: float) -> pd.DataFrame:
    rows = [(cell, domain, 0, 100, 100 * mean) for domain, mean in means.items()]
    return pd.DataFrame(rows, columns=["cell", "domain", "document", "tokens", "loss"])


def _cell(k: float = 1.0, **fields: object) -> Cell:
    return Cell.model_validate({"name": f"a-k{k:g}", "spot": "a", "k_percent": k, **fields})


@pytest.mark.parametrize(
    ("means", "dead"),
    [
        ({"go": UNIFORM, "english": UNIFORM + 1}, True),
        ({"go": math.inf, "english": math.inf}, True),
        ({"go": UNIFORM + 1, "english": UNIFORM - 0.1}, False),  # one domain is still known
        ({}, False),
    ],
)
def test_a_model_is_dead_where_every_domain_is_beyond_a_uniform_guess(means: dict[str, float], dead: bool) -> None:
    assert beyond_uniform(_losses("a-k1", **means), VOCABULARY) is dead


def test_what_a_cell_is_asked() -> None:
    before, dead = _losses("original", go=1.0), _losses("a-k1", go=UNIFORM + 1)
    few = EvaluationSection(dead_items=8)
    assert what_is_asked(few, _cell(), dead, before, VOCABULARY) is Asked.DEAD
    assert what_is_asked(EvaluationSection(), _cell(), dead, before, VOCABULARY) is Asked.ALL
    assert what_is_asked(few, Cell(name="original"), dead, before, VOCABULARY) is Asked.ALL
    doses = EvaluationSection.model_validate({"tasks_at": [0.25]})
    assert what_is_asked(doses, _cell(0.25), before, before, VOCABULARY) is Asked.ALL
    assert what_is_asked(doses, _cell(1.0), before, before, VOCABULARY) is Asked.DOSE
    assert what_is_asked(doses, _cell(1.0, purpose="sufficiency"), before, before, VOCABULARY) is Asked.ALL
    draw = _cell(0.25, purpose="draw", control="matched", seed=9)
    assert what_is_asked(doses, draw, dead, before, VOCABULARY) is Asked.DRAW
    where = EvaluationSection.model_validate({"tasks_where": {"perplexity_ratio": 1.02}})
    for shift, asked in ((0.01, Asked.UNMOVED), (0.03, Asked.ALL), (-0.03, Asked.ALL), (math.inf, Asked.ALL)):
        moved = _losses("a-k1", go=1.0 + shift)
        assert what_is_asked(where, _cell(), moved, before, VOCABULARY) is asked


def test_only_cells_that_are_asked_less_are_listed() -> None:
    asked = {"original": Asked.ALL, "a-k0.1": Asked.ALL, "a-k1": Asked.DEAD, "a-k2": Asked.DOSE}
    assert asked_rows(EvaluationSection(dead_items=5), asked).to_dict("records") == [
        {"cell": "a-k1", "asked": "dead", "items": 5},
        {"cell": "a-k2", "asked": "dose", "items": 0},
    ]


def test_the_models_size_settles_what_the_study_leaves_open() -> None:
    small, large = 4_000_000, 630_000_000
    section = EvaluationSection.model_validate({"code": ["testbed_humaneval"]})
    for parameters, sequential, items in ((small, False, None), (large, True, 8)):
        settled = section.for_model(parameters)
        assert (settled.sequential, settled.dead_items) == (sequential, items)
    explicit = section.model_copy(update={"sequential": False, "dead_items": 20}).for_model(large)
    assert (explicit.sequential, explicit.dead_items) == (False, 20)
    assert notes(section, small) == ()
    sequentially, dead = notes(section, large)
    assert "sequentially" in sequentially
    assert "8 items" in dead
