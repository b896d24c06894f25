"""No module asks for a method by its name: what is to be known of one is in its traits."""

import ast
from functools import cache
from pathlib import Path

import pytest

import codingspot
from codingspot.catalogue import registries

SOURCE = Path(codingspot.__file__).parent
SORTS = {registry.sort: registry for registry in registries()}
OWN = {
    (name, sort): registry[name].__module__
    for sort, registry in SORTS.items()
    for name in registry
    if registry.source(name) == "codingspot"
}

WORDS = {
    "all": "of everything: selections, kinds of keywords, rows",
    "bottom": "the side of a plot",
    "density": "what a spot has in a tensor: a function, and a table that reports read",
    "heads": "units of a model",
    "language_matrix": "a section of the study file",
    "lens": "the name of the table's file and picture",
    "magnitude": "of a weight: what a control matches",
    "matched": "a trait of controls, and a column",
    "mask": "a model's table of a learned mask, and a recipe's setting",
    "mean": "a statistic",
    "model": "what is looked at: a key, an argument, a field",
    "neurons": "a column, and the name of tables and pictures",
    "overlap": "what two sets have: a function, and a column",
    "polysemanticity": "a function",
    "random": "what controls are, in columns and words",
    "relearning": "a function",
    "reliability": "a function",
    "sequential": "a way to evaluate: a setting, and the table that says what it took",
    "share": "a statistic",
    "sufficiency": "what a cell is for",
    "sum": "a statistic",
    "units": "a column, and a spot's metadata",
    "weights": "what a model is made of",
    **dict.fromkeys(("attention", "blocks", "layers", "mlp", "norms", "vocabulary"), "parts of a model, as roles say"),
}
"""Names that are words of other things, too: of those only comparisons with a method's name are looked for."""

PLACES = {
    ("zero", "ablation/editor.py"): "the default of the Python API",
    ("zero", "bench/run.py"): "methods are compared by removing what they find",
    ("uniform", "export/kinds.py"): "a placement of adapters",
    ("lora", "extras.py"): "the name of an extra",
    ("all", "export/kinds.py"): "the default of an option",
    ("zero", "export/kinds.py"): "the default of an option",
    ("zero", "learning/relearning.py"): "an answer of its own to what becomes of removed weights",
    ("zero", "study/spot_section.py"): "a setting's default",
    ("zero", "study/evaluating.py"): "plans of older versions name no edit",
    ("zero", "analyses/language_matrix.py"): "the matrix is of removals",
    ("zero", "testbed/english/signs.py"): "an English word",
    ("zero", "testbed/english/words.py"): "an English word",
    ("zero", "views/across/analysis.py"): "spots and neurons are compared by removing them",
    ("keep_only", "study/planning.py"): "sufficiency is what this edit shows",
    ("set_difference", "learning/learner.py"): "the default shortlist",
    ("set_difference", "learning/recipe.py"): "the default shortlist",
    ("learned", "learning/mask.py"): "the spot's own record of its recipe",
    ("matched", "ablation/controls.py"): "the control's own record",
    ("uniform", "ablation/controls.py"): "the control's own record",
    ("rms", "units/recipe.py"): "the default score",
    ("pls", "bench/rankings/pls.py"): "a published method is a score of units and its settings",
    ("rollout", "bench/rankings/attention.py"): "a published method is a score of units and its settings",
    ("attention_gradient", "bench/rankings/attention.py"): "a published method is a score of units and its settings",
    ("wanda", "bench/rankings/wei.py"): "a published method is an estimator and its settings",
    ("taylor", "bench/rankings/wei.py"): "a published method is an estimator and its settings",
    ("rms", "units/prior.py"): "a method that joins others",
    ("attribution", "units/prior.py"): "a method that joins others",
    ("fisher", "bench/rankings/unit_prior.py"): "a method that joins others",
    ("log_ratio", "units/prior.py"): "a method that joins others",
    ("log_ratio", "bench/rankings/unit_prior.py"): "a method that joins others",
    ("wanda", "bench/rankings/unit_prior.py"): "a method that joins others",
    ("write", "testbed/programs/sampling.py"): "an English word",
    ("std", "testbed/english/signs.py"): "a part of a word",
    ("super_weights", "ablation/__init__.py"): "a function's name",
    ("taylor", "cli/score.py"): "the default of an option",
    ("rms", "cli/units.py"): "the default of an option",
}
"""Where a name may stand outside the module that registers it, and why."""


@cache
def constants() -> list[tuple[str, str, int]]:
    """Every text in the source that isn't documentation: text, file and line."""
    return [
        (node.value, path.relative_to(SOURCE).as_posix(), node.lineno)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def is_at_home(sort: str, module: str, file: str) -> bool:
    """Whether a file is the module that registers a method, or in the folder of a view."""
    home = module.removeprefix("codingspot.").replace(".", "/")
    return file in (f"{home}.py", f"{home}/__init__.py") or (sort == "view" and file.startswith(f"{home}/"))


def test_names_stand_only_where_methods_are_registered() -> None:
    names = {name for name, _ in OWN} - WORDS.keys()
    strays = [
        f"{file}:{line} {text}"
        for text, file, line in constants()
        if text in names
        and (text, file) not in PLACES
        and not any(is_at_home(sort, module, file) for (name, sort), module in OWN.items() if name == text)
    ]
    assert strays == []


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_exception_is_left_over(place: tuple[str, str]) -> None:
    assert place in {(text, file) for text, file, _ in constants()}


def test_no_method_is_compared_by_name() -> None:
    strays = []
    for path in SOURCE.rglob("*.py"):
        file = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            texts = {side.value for side in sides if isinstance(side, ast.Constant)}
            asked = {getattr(side, "attr", getattr(side, "id", "")) for side in sides}
            strays += [
                f"{file}:{node.lineno} {sort} {name}"
                for (name, sort), module in OWN.items()
                if name in texts and sort in asked
                if not is_at_home(sort, module, file)
            ]
    assert strays == []
