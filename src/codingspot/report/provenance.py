"""How a run was measured, as phrases: what was scored, what was edited, on what it was evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codingspot.evaluation.batching import WINDOW
from codingspot.evaluation.statistics import rate_intervals
from codingspot.report.labels import dose, join_words, plural, recipe_label, scope_label, task_label
from codingspot.report.run_files import Run
from codingspot.study.cells import ORIGINAL, Asked, Task


def estimator_phrase(run: Run) -> str:
    """Estimator and reduction, as every caption names them: ``taylor (reduction corpus, norm l1)``."""
    described = run.scores.get("estimator")
    scoring = _section(run, "scoring")
    settings = dict(described) if isinstance(described, dict) else dict(scoring.get("parameters") or {})
    name = settings.pop("name", None) or scoring.get("estimator") or _estimator_of_cells(run)
    given = [f"{key} {value}" for key, value in settings.items() if value is not None]
    return f"{name} ({', '.join(given)})" if given else str(name)


def decoding_phrase(run: Run) -> str:
    """How programs were drawn, task by task where tasks differ: ``pass@1, n = 1 program a problem, greedy``."""
    by_task = {task.name: _decoding(run, task) for task in run.plan.with_role("code")}
    phrases = list(dict.fromkeys(by_task.values())) or [_drawn(1, 0.0)]
    if len(phrases) == 1:
        return phrases[0]
    return "; ".join(
        f"{phrase} ({join_words([task_label(name) for name, own in by_task.items() if own == phrase])})"
        for phrase in phrases
    )


def _decoding(run: Run, task: Task) -> str:
    """How the programs of one task were drawn: by its own settings, or those of the study for all tasks."""
    section = _section(run, "evaluation")
    entries = [entry for entry in section.get("code") or () if isinstance(entry, dict)]
    own = next((entry for entry in entries if entry.get("name") == task.name), {})
    samples, temperature = (
        own.get(key) if own.get(key) is not None else section.get(key) for key in ("samples", "temperature")
    )
    drawn = _drawn(int(samples or 1), float(temperature or 0.0))
    return f"{drawn}, chat template" if own.get("chat_template") else drawn


def _drawn(samples: int, temperature: float) -> str:
    how = "greedy" if temperature == 0 else f"temperature {temperature:g}"
    if samples == 1:
        return f"pass@1, n = 1 program a problem, {how}"
    return f"pass@1 by the unbiased estimator, n = {samples} programs a problem, {how}"


def items_phrase(run: Run) -> str:
    """How many items of each task were evaluated: ``Arithmetic 100, GSM8K 100 of 1,319``."""
    fewer = "; fewer where a cell was settled early" if run.stopped is not None else ""
    return ", ".join(f"{task_label(task.name)} {_evaluated(task)}" for task in run.plan.tasks) + fewer


def fewer_phrase(run: Run) -> str:
    """What the plan says of how cells were evaluated, and which weren't asked every item; empty where all were."""
    said = list(run.plan.notes)
    dead = [(name, items) for name, (asked, items) in run.asked.items() if asked is Asked.DEAD]
    if dead:
        said.append(
            f"Of {join_words([name for name, _ in dead])} the model's loss is beyond a uniform guess on every domain: "
            f"tasks asked {dead[0][1]} items each, with intervals of Wilson's score over these."
        )
    if any(asked.asks_nothing and asked is not Asked.DRAW for asked, _ in run.asked.values()):
        said.append("Not asked: perplexity alone was taken.")
    return "".join(f" {sentence}" for sentence in said)


def perplexity_phrase(run: Run) -> str:
    """How much held-out text perplexity is of: ``2,048 tokens a domain, in windows of at most 512``."""
    losses = run.results.losses
    tokens = losses[losses["cell"] == ORIGINAL].groupby("domain")["tokens"].sum()
    if not len(tokens):
        return ""
    low, high = int(tokens.min()), int(tokens.max())
    many = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    window = _section(run, "evaluation").get("perplexity_window")
    return f"{many} tokens a domain" + (f", in windows of at most {window:,}" if isinstance(window, int) else "")


def cut_phrase(run: Run) -> str:
    """The same as a sentence, where not all of a domain's text was read, or not in windows of the usual length."""
    section, losses = _section(run, "evaluation"), run.results.losses
    tokens = losses[losses["cell"] == ORIGINAL].groupby("domain")["tokens"].sum()
    cut = bool((tokens == section.get("perplexity_tokens")).any())
    usual = section.get("perplexity_window") in (None, WINDOW)
    return f" Perplexity: {perplexity_phrase(run)}." if len(tokens) and (cut or not usual) else ""


def details(run: Run) -> list[tuple[str, str]]:
    """Everything a reader needs to repeat the run: terms and descriptions, in order."""
    plan = run.plan
    found = [
        ("Model", run.model_name()),
        ("Revision", plan.model.revision or "none given"),
        ("Weights (SHA-256)", plan.model.fingerprint),
        ("Weights read from", plan.model.weights or ""),
        ("Parameters", f"{plan.model.parameters:,}, tied ones once"),
        ("Scopes", ", ".join(f"{name} {size:,}" for name, size in plan.model.scopes.items())),
        ("Estimator", f"{estimator_phrase(run)}, normalisation {_normalisation(run)}"),
        ("Scored domains", _scored_domains(run)),
        ("Held out of scoring", join_words([d.name for d in plan.domains if d.held_out]) or "none"),
        ("Scoring", _settings(run)),
        ("Corpus (SHA-256)", _inner(run.scores, "corpus", "fingerprint")),
        *((f"Spot {name}", _spot_details(run, name)) for name in plan.spots()),
        ("Programs", f"{decoding_phrase(run)}; run in a sandbox, one verdict each"),
        *(_task_details(run) or [("Items", items_phrase(run))]),
        ("Chance levels", ", ".join(f"{task_label(task.name)} {task.chance:.2f}" for task in plan.tasks)),
        ("Perplexity", _perplexity_details(run)),
        ("Evaluation", fewer_phrase(run).strip()),
        (
            "Intervals",
            f"95%, bootstrap over items, paired with the original model, seed {plan.bootstrap_seed}; "
            "of the original model's rates above, Wilson's score",
        ),
        ("Versions", ", ".join(f"{k} {v}" for k, v in dict(run.scores.get("versions") or {}).items())),
    ]
    return [(term, description) for term, description in found if description]


def _perplexity_details(run: Run) -> str:
    documents = ", ".join(f"{d.name} {plural(d.documents, 'document')}" for d in run.plan.domains)
    return "; ".join(filter(None, (documents, perplexity_phrase(run))))


def _task_details(run: Run) -> list[tuple[str, str]]:
    """How each task was run, and the original model's rate with its interval."""
    outcomes = run.results.outcomes
    original = outcomes[outcomes["cell"] == ORIGINAL]
    rates, intervals = original.groupby("task")["outcome"].mean(), rate_intervals(original)
    return [
        (
            f"Task {task_label(task.name)}",
            f"{task.protocol}; original model {100 * rates[task.name]:.1f}% "
            f"({100 * intervals[task.name].low:.1f} to {100 * intervals[task.name].high:.1f}%)",
        )
        for task in run.plan.tasks
        if task.protocol
    ]


def _evaluated(task: Task) -> str:
    if task.available is None or task.available == task.items:
        return f"{task.items:,}"
    return f"{task.items:,} of {task.available:,}"


def _section(run: Run, name: str) -> Mapping[str, Any]:
    section = run.study.get(name)
    return section if isinstance(section, dict) else {}


def _inner(value: Mapping[str, Any], outer: str, inner: str) -> str:
    section = value.get(outer)
    return str(section.get(inner, "")) if isinstance(section, dict) else ""


def _estimator_of_cells(run: Run) -> str:
    return next((cell.estimator for cell in run.plan.cells if cell.estimator), "unknown")


def _normalisation(run: Run) -> str:
    return str(run.scores.get("normalise") or _section(run, "scoring").get("normalise") or "none")


def _scored_domains(run: Run) -> str:
    domains: Sequence[Mapping[str, Any]] = run.scores.get("domains") or []
    return ", ".join(f"{domain['name']} {int(domain['predicted_tokens']):,} tokens" for domain in domains)


def _settings(run: Run) -> str:
    known = _section(run, "scoring")
    return ", ".join(
        f"{label} {known[key]:,}" if isinstance(known[key], int) else f"{label} {known[key]}"
        for key, label in (
            ("token_budget", "token budget a domain"),
            ("draws", "draws"),
            ("sequence_length", "sequence length"),
            ("micro_batch_tokens", "tokens a micro-batch"),
            ("seed", "seed"),
            ("finetune", "fine-tuning"),
        )
        if known.get(key) is not None
    )


def _spot_details(run: Run, name: str) -> str:
    cells = [cell for cell in run.plan.cells if cell.spot == name and cell.purpose == "dose"]
    settings = run.recipe_parameters(name)
    parts = [
        recipe_label(cells[0].recipe, settings, run.plan),
        f"scope {cells[0].scope} ({scope_label(cells[0].scope)})",
        *(f"{key} = {value}" for key, value in settings.items()),
        f"edit {cells[0].edit}",
        "k = " + ", ".join(dict.fromkeys(dose(cell.k_percent) for cell in cells)),
    ]
    for control in dict.fromkeys(cell.control for cell in cells if cell.control):
        seeds = dict.fromkeys(str(cell.seed) for cell in cells if cell.control == control)
        parts.append(f"control {control}, seeds {', '.join(seeds)}")
    return "; ".join(parts)
