"""Whole studies: demo, run, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codingspot.cli.console import AsJson, StudyProgress, friendly_errors, out, print_json, print_table, setting_error
from codingspot.cli.options import PLACE
from codingspot.storage import is_url
from codingspot.studies import ALL_PRESETS, DEMO

if TYPE_CHECKING:  # loading the stages takes seconds, which `--help` should not
    from codingspot.study import Study

Out = Annotated[
    Path | None, typer.Option("--out", "-o", **PLACE, help="Run directory; resumed where it holds the same study.")
]
SummaryJson = Annotated[bool, typer.Option("--json", help="Print summary.json instead of tables.")]
Unsafe = Annotated[
    bool,
    typer.Option("--unsafe-no-sandbox", help="Run generated programs without a sandbox: they can do what you can."),
]
Track = Annotated[
    str | None, typer.Option(metavar="NAME", help="Log the cells in an experiment tracker: wandb, trackio or mlflow.")
]
_RESUMES = "the same command resumes where it stopped"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(demo)
    app.command()(run)
    app.command()(report)
    app.command()(compare)


def demo(
    directory: Out = None,
    show_study: Annotated[bool, typer.Option("--show-study", help="Print the study file, to copy, and exit.")] = False,
    unsafe_no_sandbox: Unsafe = False,
    as_json: SummaryJson = False,
) -> None:
    """Run the whole study on the shipped testbed model, in minutes.

    Example: codingspot demo --out runs/demo
    """
    if show_study:
        typer.echo(DEMO.read_text(encoding="utf-8"), nl=False)
        return
    with friendly_errors(_RESUMES):
        from codingspot.study import load_study

        study = load_study(DEMO)
    _run(study, directory or Path("runs/demo"), unsafe_no_sandbox, as_json)


def run(
    study: Annotated[
        Path | None, typer.Argument(help="A study file; `codingspot demo --show-study` prints one to copy.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hub id or folder of the model, for --preset.")] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"A shipped study, for any model: {', '.join(ALL_PRESETS)}.")
    ] = None,
    directory: Out = None,
    show_study: Annotated[bool, typer.Option("--show-study", help="Print the study, to copy, and exit.")] = False,
    scores: Annotated[
        str | None,
        typer.Option(
            metavar=PLACE["metavar"],
            help="A run directory that scored the same: its scores are read, instead of scoring.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Evaluate cells in so many processes, each with the model; identical results."),
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Ray cluster, such as auto: where the workers are.")
    ] = None,
    track: Track = None,
    unsafe_no_sandbox: Unsafe = False,
    as_json: SummaryJson = False,
) -> None:
    """Run a study file, or a preset; a run that was stopped resumes by itself.

    Example: codingspot run my-study.yaml --out runs/mine

    Example: codingspot run --model meta-llama/Llama-3.2-3B-Instruct --preset paper

    Example: codingspot run my-study.yaml --out runs/mine --workers 4
    """
    with friendly_errors(_RESUMES):
        asked = _asked(study, model, preset)
        if scores is not None:
            reuse = scores if is_url(scores) else str(Path(scores).absolute())
            asked = asked.model_copy(update={"scoring": asked.scoring.model_copy(update={"reuse": reuse})})
    if show_study:
        typer.echo(asked.to_yaml(), nl=False)
        return
    place = directory or Path("runs") / (study.stem if study else asked.name.replace(" ", "-"))
    given = {"count": workers, "address": ray}
    _run(asked, place, unsafe_no_sandbox, as_json, study, given if workers or ray is not None else None, track)


def report(
    directory: Annotated[Path, typer.Argument(**PLACE, help="A run directory.")],
    vector: Annotated[bool, typer.Option("--vector", help="Write figures as PDF and SVG too, for a paper.")] = False,
    track: Track = None,
    as_json: SummaryJson = False,
) -> None:
    """Rebuild every table, figure and the HTML page of a run from its results.

    Example: codingspot report runs/demo --vector
    """
    from codingspot.report import build_report

    with friendly_errors():
        tracked = _tracking(track)
        build_report(directory, vector=vector)
        tracked(directory)
        _show(directory, as_json)


def compare(
    directory: Annotated[Path, typer.Argument(**PLACE, help="A run directory.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Hub id of the model whose published figures to show; by default the run's own, or the first that has "
            "some where nothing was published for it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set a run beside the papers' published figures and those of an independent replication.

    Example: codingspot compare runs/demo --model meta-llama/Llama-3.2-3B-Instruct
    """
    from rich.table import Table

    from codingspot.report.compare import compare as compare_run
    from codingspot.report.table import main_text

    with friendly_errors():
        table, differences = compare_run(directory, model)
        lines = [[main_text(v, c) for v, c in zip(row.values, table.columns, strict=True)] for row in table.rows]
        if as_json:
            keys = [column.key for column in table.columns]
            rows = [dict(zip(keys, line, strict=True)) for line in lines]
            print_json({"title": table.title, "rows": rows, "differences": differences})
            return
        shown = Table(box=None, padding=(0, 1, 0, 0))
        for column in table.columns:
            shown.add_column(column.header.split(" ")[0], justify="left" if column.kind == "text" else "right")
        for row, line in zip(table.rows, lines, strict=True):
            shown.add_row(*line, style="dim" if row.role == "control" else "")
        print_table(table.title, shown)
        out.print("\nWhat differs:")
        for difference in differences:
            out.print(f"- {difference}", style="dim")


def _asked(file: Path | None, model: str | None, preset: str | None) -> Study:
    """The study of a file, or of a preset for a model."""
    from codingspot.errors import StudyError
    from codingspot.studies.presets import preset_study
    from codingspot.study import load_study

    if (file is None) == (preset is None):
        raise StudyError("give a study file, or --preset with --model, not both")
    if preset is not None:
        return preset_study(preset, model)
    if file is None or model is not None:
        raise StudyError("--model is for --preset; a study file names its own model")
    return load_study(file)


def _run(
    study: Study,
    directory: Path,
    unsafe_no_sandbox: bool,
    as_json: bool,
    file: Path | None = None,
    workers: Mapping[str, Any] | None = None,
    track: str | None = None,
) -> None:
    """Run ``study``, read from ``file``, and build its report; the run's own copy may be given to resume it."""
    with friendly_errors(f"the same command resumes {directory} where it stopped"):
        from codingspot.directories import held
        from codingspot.report import build_report
        from codingspot.study import Workers, run_study
        from codingspot.study.inputs import input_paths

        with setting_error():
            asked = None if workers is None else Workers.model_validate(workers)
        tracked = _tracking(track)
        own = file is not None and file.resolve() == (directory / "study.yaml").resolve()
        with held(directory, inputs=[None if own else file, *input_paths(study)]), StudyProgress() as progress:
            run_study(study, directory, progress=progress, unsafe_no_sandbox=unsafe_no_sandbox, workers=asked)
            progress.stage("writing the report")
            build_report(directory)
        tracked(directory)
        _show(directory, as_json)


def _tracking(name: str | None) -> Callable[[Path], None]:
    """What logs a run's cells in a tracker, whose library is there; nothing where none is asked for."""
    if name is None:
        return lambda _: None
    from codingspot.report.tracking import check_tracker, track

    check_tracker(name)
    return partial(track, name=name)


def _show(directory: Path, as_json: bool) -> None:
    if as_json:
        from codingspot.files import read_json

        print_json(read_json(directory / "summary.json"))
        return
    from codingspot.report import console_report

    for part in console_report(directory):
        out.print(part)
    out.print(f"Report: {directory / 'report.html'}", soft_wrap=True)
