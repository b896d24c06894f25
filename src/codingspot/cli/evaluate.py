"""The command ``eval``: a model on tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import AsJson, Force, friendly_errors, print_json, print_table
from codingspot.cli.options import PLACE, takes_model
from codingspot.models.section import ModelSection
from codingspot.remote import local_path

if TYPE_CHECKING:  # loading the stages takes seconds, which `--help` should not
    from codingspot.evaluation.contrastive import Contrast
    from codingspot.evaluation.served import ServedGenerator
    from codingspot.spot import Spot


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("eval")(takes_model(evaluate))


def evaluate(
    model: ModelSection,
    directory: Annotated[
        Path, typer.Option("--out", "-o", **PLACE, help="Folder for results.parquet and losses.parquet.")
    ],
    task: Annotated[
        list[str] | None, typer.Option(help="An lm-evaluation-harness task; repeat. A testbed model's own by default.")
    ] = None,
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
    contrast: Annotated[
        Path | None,
        typer.Option(
            parser=local_path,
            metavar="SPOT",
            help="Contrast the next tokens of generated answers with the model's without this spot.",
        ),
    ] = None,
    contrast_k: Annotated[
        float | None, typer.Option(help="Of --contrast, percent of all parameters; the whole spot by default.")
    ] = None,
    contrast_beta: Annotated[
        float | None, typer.Option(help="Of --contrast, how much is subtracted; 0.5 by default.")
    ] = None,
    contrast_alpha: Annotated[
        float | None,
        typer.Option(help="Of --contrast, a token's least probability as a share of the largest; 0.1 by default."),
    ] = None,
    engine_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A server of this model's completions, such as vLLM's, that generates answers."
        ),
    ] = None,
    engine_model: Annotated[
        str | None, typer.Option(help="Of --engine-url, the name of the model there, if it serves several.")
    ] = None,
    unsafe_no_sandbox: Annotated[
        bool, typer.Option("--unsafe-no-sandbox", help="Run generated programs without a sandbox.")
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on tasks; every item's outcome and sample is kept.

    Example: codingspot eval testbed --task testbed_humaneval --task testbed_events --out runs/eval

    With local data: codingspot eval ID --task mmlu --data mmlu=data/mmlu --few-shot 5 --subsample 1000 --out runs/mmlu

    Against itself without a spot: codingspot eval ID --task humaneval --contrast spot.safetensors --out runs/contrast

    By `vllm serve ID`: codingspot eval ID --task humaneval --engine-url http://localhost:8000/v1 --out runs/served
    """
    from codingspot.ablation import WeightEditor
    from codingspot.errors import StudyError
    from codingspot.evaluation.adapter import ModelAdapter
    from codingspot.evaluation.evaluator import Evaluator, require_answerable, sandbox_for
    from codingspot.evaluation.metrics import task_rates
    from codingspot.evaluation.statistics import rate_intervals
    from codingspot.evaluation.tasks import TaskSpec, load_tasks
    from codingspot.models import input_places
    from codingspot.outputs import new_folder
    from codingspot.testbed.defaults import default_tasks

    with friendly_errors():
        names = task or default_tasks(model.id)
        if not names:
            raise StudyError(f"no task is named for {model.id}; name one with --task, such as humaneval")
        places = _places(data or [], names)
        served = _served(engine_url, engine_model, contrast)
        contrasted = _contrasted(contrast, k=contrast_k, beta=contrast_beta, alpha=contrast_alpha)
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
        read = input_places(model.id, *places.values(), contrast)
        with new_folder(directory, "codingspot-results", inputs=read, force=force) as temporary:
            loaded = model.load()
            tasks = load_tasks(specs, tokenizer=loaded.tokenizer)
            how: dict[str, Any] = {"generator": served}
            if contrasted is not None:
                without, how["contrast"] = model.load(), contrasted[1]
                WeightEditor(without).apply(contrasted[0])
                how["amateur"] = without.model
            with sandbox_for(tasks, unsafe=unsafe_no_sandbox) as sandbox:
                adapter = ModelAdapter(loaded.model, loaded.tokenizer, **how)
                require_answerable(adapter, tasks, sandbox)
                results = Evaluator(adapter, tasks, sandbox=sandbox).evaluate(model.id, require_finite=True)
            results.write(temporary)
        rates = task_rates(results.outcomes)[model.id]
        intervals = rate_intervals(results.outcomes)
        by = "".join(f", {each}" for each in (contrasted and contrasted[1], served) if each is not None)
        asked = results.outcomes["task"].value_counts()
        rows: dict[str, dict[str, Any]] = {
            one.name: {
                "rate": rates[one.name],
                "low": intervals[one.name].low,
                "high": intervals[one.name].high,
                "chance": one.chance,
                "items": int(asked[one.name]),
                "protocol": one.protocol + by,
            }
            for one in tasks
        }
        _show(f"{model.id}: rows in {directory}", rows, as_json=as_json)


def _show(title: str, rows: Mapping[str, Mapping[str, Any]], *, as_json: bool) -> None:
    """Print the rate of each task."""
    if as_json:
        print_json(rows)
        return
    table = Table()
    for heading in ("task", "rate", "95% interval", "chance", "items", "how"):
        table.add_column(heading, justify="left" if heading in ("task", "how") else "right")
    for name, row in rows.items():
        interval = f"{row['low']:.3f}-{row['high']:.3f}"
        table.add_row(name, f"{row['rate']:.3f}", interval, f"{row['chance']:.2f}", f"{row['items']}", row["protocol"])
    print_table(title, table)


def _served(url: str | None, model: str | None, contrast: Path | None) -> ServedGenerator | None:
    """The server that ``--engine-url`` names."""
    from codingspot.errors import StudyError
    from codingspot.evaluation.served import ServedGenerator

    if url is None:
        if model is not None:
            raise StudyError("--engine-model is of a server; name it with --engine-url too")
        return None
    if contrast is not None:
        raise StudyError("a server has no logits of two models to contrast; leave out --contrast, or --engine-url")
    return ServedGenerator(url, model)


def _contrasted(file: Path | None, **given: float | None) -> tuple[Spot, Contrast] | None:
    """What the options of ``--contrast`` ask for: the spot that the amateur is without, and how it is contrasted."""
    from codingspot.errors import StudyError
    from codingspot.evaluation.contrastive import Contrast
    from codingspot.export.export import not_empty
    from codingspot.spot import Spot

    settings = {name: value for name, value in given.items() if value is not None}
    if file is None:
        if settings:
            raise StudyError(f"--contrast-{next(iter(settings))} is of a contrast; name the spot with --contrast too")
        return None
    k = settings.pop("k", None)
    contrast, spot = Contrast(**settings), Spot.load(file)
    return not_empty(spot if k is None else spot.top(k)), contrast


def _places(pairs: list[str], tasks: list[str]) -> dict[str, Path]:
    from codingspot.errors import StudyError

    places = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or name not in tasks:
            raise StudyError(f"--data takes TASK=PATH with one of the tasks {', '.join(tasks)}, not {pair!r}")
        places[name] = Path(path)
    return places
