"""The stages one by one, on artefacts: score, spot, ablate, eval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import friendly_errors, out, print_json

Model = Annotated[str, typer.Argument(help="Hub id, folder, or the shipped 'testbed' or 'testbed-routed'.")]
Corpus = Annotated[str, typer.Option(help="'testbed', a corpus made by `codingspot corpus`, or any of its sources.")]
General = Annotated[list[str], typer.Option(help="A domain that is general text; repeat.")]
HeldOut = Annotated[list[str], typer.Option(help="A domain left out of scoring; repeat.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ...")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(score)
    app.command()(spot)
    app.command()(ablate)
    app.command("eval")(evaluate)


def score(
    model: Model,
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder of the score store.")],
    corpus: Corpus = "testbed",
    general: General = ["english"],  # noqa: B006 - typer copies it
    held_out: HeldOut = ["python"],  # noqa: B006
    reduction: Annotated[str, typer.Option(help="corpus, microbatch or sequence.")] = "corpus",
    token_budget: Annotated[int, typer.Option(help="Tokens a domain.")] = 8192,
    sequence_length: Annotated[int, typer.Option(help="Tokens a sequence.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the documents' order.")] = 0,
    device: Device = None,
) -> None:
    """Score every parameter for every domain: |theta * dL/dtheta|, kept signed.

    Example: codingspot score testbed --out runs/scores --token-budget 4096
    """
    from codingspot.importance import score as score_model
    from codingspot.study.config import CorpusSection
    from codingspot.study.corpora import study_corpora
    from codingspot.testbed.shipped import load_named

    with friendly_errors():
        loaded = load_named(model, device=device)
        section = CorpusSection(source=corpus, general=tuple(general), held_out=tuple(held_out), seed=seed)
        store = score_model(
            loaded,
            study_corpora(section)[0],
            directory,
            reduction=reduction,
            token_budget=token_budget,
            sequence_length=sequence_length,
            seed=seed,
        )
        table = Table(title=f"{directory}: {store.layout.total:,} parameters", title_justify="left")
        for heading in ("domain", "kind", "tokens", "loss (nats/token)"):
            table.add_column(heading, justify="right" if heading not in ("domain", "kind") else "left")
        for domain in store.domains:
            table.add_row(domain.name, domain.kind, f"{domain.details['tokens']:,}", f"{domain.details['loss']:.4f}")
        out.print(table)


def spot(
    scores: Annotated[Path, typer.Argument(help="A score store made by `codingspot score`.")],
    file: Annotated[Path, typer.Option("--out", "-o", help="File of the spot.")],
    recipe: Annotated[str, typer.Option(help="sum, consensus or set_difference.")] = "sum",
    scope: Annotated[str, typer.Option(help="all, blocks, layers, vocabulary, norms, mlp or attention.")] = "all",
    k: Annotated[float, typer.Option("--k", help="Percentage of all parameters; smaller doses are prefixes.")] = 1.0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A recipe's parameter, NAME=VALUE; repeat.")
    ] = None,
    per_tensor: Annotated[bool, typer.Option("--per-tensor", help="Rank within each tensor.")] = False,
) -> None:
    """Select the top k percent of all parameters by a recipe, exactly.

    Example: codingspot spot runs/scores --recipe set_difference --set general_percent=20 --out spot.safetensors
    """
    from codingspot.importance import ScoreStore
    from codingspot.spot import density, find_spot

    with friendly_errors():
        found = find_spot(
            ScoreStore.open(scores),
            recipe=recipe,
            scope=scope,
            max_k_percent=k,
            per_tensor=per_tensor,
            **_settings(setting or []),
        )
        found.save(file)
        share = density(found).groupby("block", sort=False)[["parameters", "selected"]].sum()
        table = Table(title=f"{file}: {len(found):,} parameters", title_justify="left")
        for heading in ("block", "parameters", "selected", "share of spot"):
            table.add_column(heading, justify="left" if heading == "block" else "right")
        for block, row in share.iterrows():
            part = row["selected"] / len(found)
            table.add_row(str(block), f"{row['parameters']:,}", f"{row['selected']:,}", f"{part:.1%}")
        out.print(table)


def ablate(
    model: Model,
    spot_file: Annotated[Path, typer.Argument(help="A spot made by `codingspot spot` from the same weights.")],
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder of the edited model.")],
    k: Annotated[
        float | None, typer.Option("--k", help="Percentage of all parameters; the whole spot by default.")
    ] = None,
    edit: Annotated[str, typer.Option(help="zero or scale.")] = "zero",
    setting: Annotated[list[str] | None, typer.Option("--set", help="An edit's parameter, NAME=VALUE; repeat.")] = None,
    device: Device = None,
) -> None:
    """Edit a spot and save the edited model with its tokenizer.

    Example: codingspot ablate testbed spot.safetensors --k 0.25 --out runs/ablated
    """
    from codingspot.ablation import edited
    from codingspot.files import atomic_path
    from codingspot.spot import Spot
    from codingspot.testbed.shipped import load_named

    with friendly_errors():
        loaded = load_named(model, device=device)
        whole = Spot.load(spot_file)
        chosen = whole if k is None else whole.top(k)
        with edited(loaded, chosen, edit, **_settings(setting or [])), atomic_path(directory) as temporary:
            loaded.model.save_pretrained(temporary)
            loaded.tokenizer.save_pretrained(temporary)
        out.print(f"{len(chosen):,} parameters edited ({edit}): {directory}", soft_wrap=True)


def evaluate(
    model: Model,
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder for results.parquet and losses.parquet.")],
    task: Annotated[list[str] | None, typer.Option(help="An lm-evaluation-harness task; repeat.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK=PATH", help="Local files of a task: a folder with one a split, or a file; repeat."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="First items of each task.")] = None,
    subsample: Annotated[int | None, typer.Option(help="Items of each task, drawn in proportion to subjects.")] = None,
    few_shot: Annotated[
        int | None, typer.Option(help="Solved examples before a question; by default the task's.")
    ] = None,
    chat_template: Annotated[bool, typer.Option("--chat-template", help="Write prompts as a conversation.")] = False,
    max_new_tokens: Annotated[int | None, typer.Option(help="Most tokens of a generated answer.")] = None,
    device: Device = None,
    unsafe_no_sandbox: Annotated[
        bool, typer.Option("--unsafe-no-sandbox", help="Run generated programs without a sandbox.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a model on tasks; every item's outcome and sample is kept.

    Example: codingspot eval testbed --task testbed_humaneval --task testbed_events --out runs/eval

    With local data: codingspot eval ID --task mmlu --data mmlu=data/mmlu --few-shot 5 --subsample 1000 --out runs/mmlu
    """
    from codingspot.evaluation.adapter import ModelAdapter
    from codingspot.evaluation.evaluator import Evaluator
    from codingspot.evaluation.metrics import task_rates
    from codingspot.evaluation.statistics import rate_intervals
    from codingspot.evaluation.tasks import TaskSpec, load_tasks
    from codingspot.sandbox import Sandbox
    from codingspot.study.config import EvaluationSection
    from codingspot.testbed.shipped import load_named

    with friendly_errors():
        names = task or [spec.name for _, spec in EvaluationSection().tasks()]
        places = _places(data or [], names)
        specs = [
            TaskSpec(
                name,
                data=places.get(name),
                limit=limit,
                subsample=subsample,
                few_shot=few_shot,
                chat_template=chat_template,
                max_new_tokens=max_new_tokens,
            )
            for name in names
        ]
        loaded = load_named(model, device=device)
        tasks = load_tasks(specs, tokenizer=loaded.tokenizer)
        with Sandbox(unsafe=unsafe_no_sandbox) as sandbox:
            results = Evaluator(ModelAdapter(loaded.model, loaded.tokenizer), tasks, sandbox=sandbox).evaluate(model)
        results.write(directory)
        rates = task_rates(results.outcomes)[model]
        if as_json:
            print_json(rates)
            return
        intervals = rate_intervals(results.outcomes)
        table = Table(title=f"{model}: rows in {directory}", title_justify="left")
        for heading in ("task", "rate", "95% interval", "chance", "how"):
            table.add_column(heading, justify="left" if heading in ("task", "how") else "right")
        for one in tasks:
            low, high = intervals[one.name]
            table.add_row(
                one.name, f"{rates[one.name]:.3f}", f"{low:.3f}-{high:.3f}", f"{one.chance:.2f}", one.protocol
            )
        out.print(table)


def _places(pairs: list[str], tasks: list[str]) -> dict[str, Path]:
    from codingspot.errors import StudyError

    places = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or name not in tasks:
            raise StudyError(f"--data takes TASK=PATH with one of the tasks {', '.join(tasks)}, not {pair!r}")
        places[name] = Path(path)
    return places


def _settings(pairs: list[str]) -> dict[str, Any]:
    from codingspot.errors import StudyError
    from codingspot.records import parse_yaml

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise StudyError(f"--set takes NAME=VALUE, not {pair!r}")
        try:
            found[name] = parse_yaml(value)
        except ValueError as error:
            raise StudyError(f"--set {name}: {value!r} is not valid YAML: {error}") from None
    return found
