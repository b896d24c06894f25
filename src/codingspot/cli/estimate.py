"""What a study will take, before it is run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import AsJson, err, friendly_errors, out, print_json
from codingspot.studies import ALL_PRESETS

if TYPE_CHECKING:  # loading the stages takes seconds, which `--help` should not
    from codingspot.estimation import Estimate
    from codingspot.study import Study

_UNITS = ("B", "kB", "MB", "GB", "TB")
_SLOW = 2.0
_WORDS = ("stage", "place", "made of", "what", "way", "fits")  # headings of columns without numbers


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(estimate)


def estimate(
    target: Annotated[
        str,
        typer.Argument(
            help="A study file; or a Hub id, a folder with config.json, or a shipped model such as 'testbed', with "
            "--study or --preset.",
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
    device: Annotated[str | None, typer.Option(help="cpu or cuda, instead of the study's.")] = None,
    memory: Annotated[
        float | None,
        typer.Option(
            help="GB that a device has, to tell which ways of scoring fit.", min=0, max=1e9, show_default="this one's"
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Load the model, and measure for ten seconds how long stages will take.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what a study will take: memory, disk, operations, tokens. No weights are loaded without --measure.

    Without --study or --preset a MODEL is taken through the paper's.

    Example: codingspot estimate my-study.yaml

    Example: codingspot estimate meta-llama/Llama-3.1-8B-Instruct --preset code-region --measure
    """
    from codingspot.estimation import estimate as estimate_study
    from codingspot.estimation import measure_speeds, stage_seconds
    from codingspot.study.asking import notes

    with friendly_errors():
        asked = _changed(_asked(target, study, preset), micro_batch_tokens, dtype=dtype, device=device)
        with err.status("running the model without its weights"):
            found = estimate_study(asked, None if memory is None else int(memory * 1e9))
        seconds: dict[str, float | None] = {}
        if measure:
            with err.status("measuring how fast this machine is"):
                seconds = stage_seconds(found, measure_speeds(asked, asked.model.load()))
        said = notes(asked.evaluation, found.footprint.parameters)
        if as_json:
            print_json({**found.to_json(), "evaluation": list(said), **({"seconds": seconds} if measure else {})})
            return
        _print(asked, found)
        if measure:
            _print_seconds(seconds)
        for sentence in (*said, *_slow(found)):
            out.print(sentence, style="dim", soft_wrap=True)


def _slow(found: Estimate) -> Iterator[str]:
    """That this processor is slow with the model's type, where it is."""
    from codingspot.estimation import slower_than_float32
    from codingspot.models import torch_dtype

    if found.device == "cpu" and found.dtype in ("bfloat16", "float16"):
        times = slower_than_float32(torch_dtype(found.dtype))
        if times > _SLOW:
            yield (
                f"This processor takes {times:.1f} times as long for a product of matrices in {found.dtype} as in "
                "float32; --dtype float32 takes twice the memory."
            )


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


def _changed(study: Study, micro_batch_tokens: int | None, **model: str | None) -> Study:
    from codingspot.models import torch_dtype

    given = {name: value for name, value in model.items() if value is not None}
    if "dtype" in given:
        torch_dtype(given["dtype"])  # refuses one that there isn't
    changes: dict[str, Any] = {"model": study.model.model_copy(update=given)}
    if micro_batch_tokens is not None:
        changes["scoring"] = study.scoring.model_copy(update={"micro_batch_tokens": micro_batch_tokens})
    return study.model_copy(update=changes)


def _print(study: Study, found: Estimate) -> None:
    scoring, model = study.scoring, found.footprint
    out.print(f"{found.model}, study {study.name}", style="bold", soft_wrap=True)
    out.print(
        f"{model.parameters:,} parameters, {_bytes(model.weight_bytes)} as {study.model.dtype} on {found.device}; "
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
    if len(found.ways) > 1:
        _print_ways(found)
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
    out.print()
    out.print("Tokens of evaluation, over all cells, at most", style="bold")
    tokens = _table("stage", "read", "generated")
    for name, each in found.evaluation.items():
        tokens.add_row(name, *(("unknown", "unknown") if each is None else (f"{each.read:,}", f"{each.written:,}")))
    out.print(tokens)
    if None in found.evaluation.values():
        out.print("Items on the Hub are not read here; name local files (data) to know.", style="dim")


def _print_ways(found: Estimate) -> None:
    out.print("Ways to score (codingspot score)", style="bold")
    table = _table("way", "a device", "host", "on disk", "read", "operations", "fits")
    for way in found.ways:
        sizes = (_bytes(size) if size else "" for size in (way.device, way.host, way.disk, way.read))
        fits = {True: "yes", False: "no", None: ""}[way.fits]
        table.add_row(way.name, *sizes, f"{way.operations:.2e}", fits)
    out.print(table)
    if found.memory is not None:
        out.print(f"Whether {_bytes(found.memory)} of a device's memory are enough.", style="dim")
    out.print()


def _print_seconds(seconds: dict[str, float | None]) -> None:
    out.print()
    out.print("Time on this machine, an estimate", style="bold")
    times = _table("stage", "time")
    for name, each in seconds.items():
        times.add_row(name, "unknown" if each is None else str(timedelta(seconds=math.ceil(each))))
    out.print(times)
    out.print(
        "From speeds just measured on random tokens; the disk, views, and programs in the sandbox are not in it.",
        style="dim",
        soft_wrap=True,
    )


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in _WORDS else "right")
    return table


def _bytes(size: float) -> str:
    power = 0
    while size >= 999.5 and power < len(_UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.3g} {_UNITS[power]}"
