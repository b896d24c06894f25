"""The benchmark of localisation methods."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from codingspot.cli.console import AsJson, friendly_errors, out, print_json, print_table, progress_display


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(bench)


def bench(
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results; resumes there.")] = Path(
        "runs/bench"
    ),
    token_budget: Annotated[int, typer.Option(help="Tokens a domain that a method may read.")] = 4096,
    limit: Annotated[int, typer.Option(help="First items of each task.")] = 24,
    seed: Annotated[int, typer.Option(help="Seed of text, methods and intervals.")] = 0,
    testbed: Annotated[
        list[str] | None, typer.Option(help="A shipped model (routed, scattered, plain); repeat. All by default.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Slow methods, variants and void contrasts too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rank localisation methods on the testbed's ground truth and by specificity.

    Every estimator is combined with every recipe; learned masks and what others published are among the methods.

    Example: codingspot bench --out runs/bench
    """
    from codingspot.bench import all_methods, default_methods, run_bench
    from codingspot.bench.report import bench_table, table_lines, write_bench_report
    from codingspot.bench.run import MODELS, bench_directory

    with friendly_errors(f"the same command resumes {directory} where it stopped"), bench_directory(directory):
        with progress_display() as display:
            task = display.add_task("starting", total=None)

            def show(name: str, done: int, total: int) -> None:
                display.update(task, completed=done, total=total, description=f"{name[:44]:<44}")

            table = run_bench(
                directory,
                methods=all_methods() if every else default_methods(),
                models=testbed or MODELS,
                token_budget=token_budget,
                limit=limit,
                seed=seed,
                on_method=show,
            )
        write_bench_report(table, directory)
        if as_json:
            print_json(table.astype(object).where(table.notna(), None).to_dict("records"))
            return
        rendered = bench_table(table)
        left_out = ("tokens", "passes", "precision_at_0.1", "precision_at_5")
        keys = [column.key for column in rendered.columns if column.key not in left_out]
        shown = Table(box=None, padding=(0, 1, 0, 0))
        for column in rendered.columns:
            if column.key in keys:
                shown.add_column(
                    column.header.replace("Area ", "A. ").replace("neurons", "n.").replace("heads", "h."),
                    justify="left" if column.kind == "text" else "right",
                )
        for line in table_lines(rendered, keys):
            shown.add_row(*line)
        print_table("Localisation methods, best first", shown)
        out.print(rendered.caption, style="dim")
        out.print(f"Table and figure: {directory}", soft_wrap=True)
