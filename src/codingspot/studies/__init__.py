"""Study files that ship with the package, to run or to copy."""

from pathlib import Path

_FOLDER = Path(__file__).parent

DEMO = _FOLDER / "demo.yaml"
"""The demo: the testbed model, the paper's recipe with its controls, and the contrast with English."""

PRESETS = {name: _FOLDER / f"{name}.yaml" for name in ("paper", "released-code", "code-region")}
"""Published studies by name; each takes any model."""

VIEW_PRESETS = {name: _FOLDER / f"{name}.yaml" for name in ("neurons", "views")}
"""Studies of neurons, alignment and the logit lens by name: the published one, without a spot, and a small one of the
testbed model beside two spots; each takes any model."""

ALL_PRESETS = {**PRESETS, **VIEW_PRESETS}
"""Every study that ``--preset`` may name."""

PUBLISHED_MODELS = {
    "paper": (
        "codellama/CodeLlama-7b-Instruct-hf",
        "meta-llama/Llama-3.1-8B-Instruct",
        "meta-llama/Llama-3.2-3B-Instruct",
    ),
    "released-code": (
        "codellama/CodeLlama-7b-Instruct-hf",
        "meta-llama/Llama-3.1-8B-Instruct",
        "meta-llama/Llama-3.2-3B-Instruct",
    ),
    "code-region": ("meta-llama/Llama-3.1-8B-Instruct",),
}
"""The models whose figures were published for each preset, by Hub id."""
