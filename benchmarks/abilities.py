"""A spot of each ability of the shipped model, and what its removal takes from every one of them.

    python benchmarks/abilities.py --out runs/abilities                  # the plain model, a quarter of an hour
    python benchmarks/abilities.py --model testbed-routed --out runs/routed

One study an ability (``corpus.target``): the neurons with the largest ratio of root mean square activations, its text
against the text of all others, zeroed together at a dose in percent of all parameters. Of each: the change of loss on
held-out text of every ability (nats a token), and the accuracy of its task (pass@1 of code's) that is left, in
brackets the original's. Code is sought in all languages but Python, and measured on Python. A run that was stopped goes
on.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import yaml

from codingspot.evaluation.results import Results
from codingspot.models.shipped import model_source
from codingspot.study import parse_study, run_study
from codingspot.testbed.shipped import languages_of
from codingspot.testbed.world import HELD_OUT_LANGUAGE, english_families, pure_code

CODE, TEXT = "code", "general_text"
TASKS = {
    CODE: "testbed_humaneval",
    **{name: f"testbed_{name}" for name in ("arithmetic", "events", "knowledge", "misconceptions", "roles")},
}


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="testbed")
    parser.add_argument("--abilities", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--k", type=float, default=1.0, help="the dose, in percent of all parameters")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens a domain")
    parser.add_argument("--documents", type=int, default=400, help="texts a domain that are written")
    parser.add_argument("--limit", type=int, default=60, help="items a task")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    languages = languages_of(Path(model_source(options.model)))
    texts = write_texts(options.out / "texts", languages, options.documents, options.seed)
    rows = {}
    for ability in options.abilities:
        study = study_of(ability, texts, languages, options)
        run = run_study(parse_study(yaml.safe_dump(study), f"{ability}.yaml"), options.out / ability)
        rows[ability] = measured(Results.read(run.path))
    print(table(rows))


def write_texts(folder: Path, languages: Iterable[str], count: int, seed: int) -> Path:
    """A file of texts for each language and each family of English; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    domains = {name: pure_code(name, count, seed) for name in languages}
    domains |= {domain.name: domain.texts for domain in english_families(count, seed)}
    for name, found in domains.items():
        file = folder / f"{name}.jsonl"
        if not file.exists():
            file.write_text("".join(json.dumps({"text": text}) + "\n" for text in dict.fromkeys(found)))
    return folder


def study_of(ability: str, texts: Path, languages: Iterable[str], options: argparse.Namespace) -> dict[str, object]:
    """The study that seeks an ability and asks the tasks of all."""
    scored = [name for name in languages if name != HELD_OUT_LANGUAGE]
    others = [task for name, task in TASKS.items() if name != ability]
    spot = {
        "name": "neurons",
        "recipe": "units",
        "parameters": {"unit": "neuron", "score": "rms", "contrast": "ratio"},
        "scope": "blocks",
        "k_percent": [options.k],
    }
    return {
        "name": ability,
        "model": {"id": options.model},
        "corpus": {
            "source": str(texts),
            "languages": list(languages),
            "general": [TEXT, *(name for name in TASKS if name != CODE)],
            "target": [*scored, HELD_OUT_LANGUAGE] if ability == CODE else [ability],
            "held_out": [HELD_OUT_LANGUAGE],
            "documents": options.documents // 2,
            "evaluation_documents": min(24, options.documents // 8),
            "purified": False,
            "seed": options.seed,
        },
        "scoring": {"token_budget": options.tokens, "sequence_length": 128, "draws": 1, "seed": options.seed},
        "spots": [spot],
        "analyses": [],
        "evaluation": {"code": [TASKS[ability]], "general": others, "other": [], "limit": options.limit}
        | {"code_limit": options.limit},
    }


def measured(results: Results) -> dict[str, tuple[float, float, float]]:
    """Of each ability: change of loss, rate with the spot removed, and the original's."""
    (spot,) = set(results.outcomes["cell"]) - {"original"}
    sums = results.losses.groupby(["cell", "domain"])[["loss", "tokens"]].sum()
    losses = sums["loss"] / sums["tokens"]
    rates = results.outcomes.groupby(["cell", "task"])["outcome"].mean()
    found = {}
    for ability, task in TASKS.items():
        domain = HELD_OUT_LANGUAGE if ability == CODE else ability
        change = losses[spot, domain] - losses["original", domain]
        found[ability] = (float(change), float(rates[spot, task]), float(rates["original", task]))
    found[TEXT] = (float(losses[spot, TEXT] - losses["original", TEXT]), math.nan, math.nan)
    return found


def table(rows: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> str:
    """One row a spot, one column an ability: change of loss, and the rate left of the original's."""
    shown = {
        ability: {
            name: f"{change:+.2f}" + ("" if math.isnan(rate) else f"; {rate:.2f} ({before:.2f})")
            for name, (change, rate, before) in found.items()
        }
        for ability, found in rows.items()
    }
    return pd.DataFrame(shown).T.rename_axis("spot of").to_markdown(disable_numparse=True)


if __name__ == "__main__":
    main()
