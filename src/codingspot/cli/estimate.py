"""What a study will take, before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import err, friendly_errors, out, print_json
from codingspot.studies import ALL_PRESETS

if TYPE_CHECKING:  # loading the stages takes seconds, which `--help` should not
    from codingspot.estimation import Estimate
    from codingspot.study import Study

_UNITS = ("B", "kB", "MB", "GB", "TB")


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(estimate)


def estimate(
    target: Annotated[
        str,
        typer.Argument(
            help="A study file; or a Hub id, a folder with config.json, 'testbed' or 'testbed-routed', with --study or "
            "--preset.",
            metavar="STUDY|MODEL",
        ),
    ],
    study: Annotated[Path | None, typer.Option(help="A study file whose model is to be MODEL.")] = None,
    preset: Annotated[str | None, typer.Option(help=f"For MODEL: {', '.join(ALL_PRESETS)}.")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16 or auto, instead of the study's.")
    ] = None,
    micro_batch_tokens: Annotated[
        int | None, typer.Option(help="Tokens run at once, instead of the study's.", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what a study will take: memory, disk, operations. No weights are loaded.

    Without --study or --preset a MODEL is taken through the paper's.

    Example: codingspot estimate my-study.yaml

    Example: codingspot estimate meta-llama/Llama-3.1-8B-Instruct --preset code-region
    """
    from codingspot.estimation import estimate as estimate_study
    from codingspot.study.asking import notes

    with friendly_errors():
        asked = _changed(_asked(target, study, preset), dtype, micro_batch_tokens)
        with err.status("running the model without its weights"):
            found = estimate_study(asked)
        said = notes(asked.evaluation, found.footprint.parameters)
        if as_json:
            print_json({**found.to_json(), "evaluation": list(said)})
            return
        _print(asked, found)
        for sentence in said:
            out.print(sentence, style="dim", soft_wrap=True)


def _asked(target: str, file: Path | None, preset: str | None) -> Study:
    from codingspot.errors import StudyError
    from codingspot.studies.presets import preset_study
    from codingspot.study import load_study

    if Path(target).suffix in (".yaml", ".yml"):
        if file is not None or preset is not None:
            raise StudyError(f"{target} is a study file; --study and --preset are for a model")
        return load_study(Path(target))
    if file is not None and preset is not None:
        raise StudyError("--study and --preset are both given; give one")
    if file is None:
        return preset_study(preset or "paper", target)
    return load_study(file, target)


def _changed(study: Study, dtype: str | None, micro_batch_tokens: int | None) -> Study:
    from codingspot.models import torch_dtype

    changes: dict[str, Any] = {}
    if dtype is not None:
        torch_dtype(dtype)  # refuses one that there isn't
        changes["model"] = study.model.model_copy(update={"dtype": dtype})
    if micro_batch_tokens is not None:
        changes["scoring"] = study.scoring.model_copy(update={"micro_batch_tokens": micro_batch_tokens})
    return study.model_copy(update=changes)


def _print(study: Study, found: Estimate) -> None:
    scoring, model = study.scoring, found.footprint
    out.print(f"{found.model}, study {study.name}", style="bold", soft_wrap=True)
    out.print(
        f"{model.parameters:,} parameters, {_bytes(model.weight_bytes)} as {study.model.dtype}; "
        f"{found.domains} domains of {scoring.token_budget:,} tokens; {found.cells} cells\n",
        soft_wrap=True,
    )
    out.print("Memory at its peak", style="bold")
    memory = _table("stage", "place", "total", "made of")
    for peak in found.peaks:
        parts = ", ".join(f"{name} {_bytes(size)}" for name, size in peak.parts.items() if size)
        memory.add_row(peak.stage, peak.place, _bytes(peak.total), parts)
    out.print(memory)
    out.print("Beside what Python and its libraries take themselves, about 0.6 GB.\n", style="dim")
    out.print("Disk", style="bold")
    disk = _table("what", "size")
    for name, size in found.disk.items():
        disk.add_row(name, _bytes(size))
    out.print(disk)
    out.print()
    out.print("Floating-point operations", style="bold")
    work = _table("stage", "operations")
    for name, flops in found.flops.items():
        work.add_row(name, f"{flops:.2e}")
    out.print(work)
    out.print("Those of evaluation depend on the tasks' texts and aren't counted.", style="dim")


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("total", "size", "operations") else "left")
    return table


def _bytes(size: float) -> str:
    power = 0
    while size >= 999.5 and power < len(_UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.3g} {_UNITS[power]}"
