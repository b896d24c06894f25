"""The testbed: training its model, writing its tasks, saying how good it is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from codingspot.cli.console import AsJson, Force, friendly_errors, out, print_json, print_table, progress_display
from codingspot.cli.listing import Group
from codingspot.errors import StudyError

app = typer.Typer(
    cls=Group,
    help="The shipped model's own recipe, tasks and measured quality.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def train(
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder of the model; resumes there.")],
    architecture: Annotated[str, typer.Option(help="llama or gpt_neo.")] = "llama",
    hidden_size: Annotated[int, typer.Option(help="Width.")] = 192,
    layers: Annotated[int, typer.Option(help="Number of layers.")] = 6,
    mlp_size: Annotated[int, typer.Option(help="Width of the MLP.")] = 512,
    scale: Annotated[float, typer.Option(help="Share of the default training tokens.", min=1e-6, max=1e3)] = 1.0,
    code_share: Annotated[float | None, typer.Option(help="Share of documents that hold programs.")] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="A programming language; repeat. The recipe's by default.")
    ] = None,
    routed: Annotated[
        bool, typer.Option("--routed", help="Route code to a known subset of the weights, by the routed recipe.")
    ] = False,
    scattered: Annotated[
        bool, typer.Option("--scattered", help="The same, to other units and other numbers of them in every layer.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the text, the initial weights and scattered units; the recipe's by default."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; a GPU where there is one.")] = None,
) -> None:
    """Train a testbed model from scratch: about 90 minutes on two cores at the default size.

    Example: codingspot testbed train --out runs/testbed --scale 0.1

    Example: codingspot testbed train --out runs/routed --routed
    """
    from codingspot.testbed.training import is_trained
    from codingspot.testbed.training import train as train_model

    with friendly_errors(f"the same command resumes {directory} where it stopped"):
        recipe = _recipe(
            "scattered" if scattered else "routed" if routed else "plain",
            scale,
            architecture=architecture,
            hidden_size=hidden_size,
            layers=layers,
            mlp_size=mlp_size,
            code_share=code_share,
            **({} if seed is None else {"seed": seed}),
            **({"languages": tuple(language)} if language else {}),
        )
        before = is_trained(directory)
        with progress_display() as display:
            task = display.add_task("training", total=recipe.steps)

            def show(step: int, steps: int, loss: float) -> None:
                del steps
                display.update(task, completed=step, description=f"training, loss {loss:.3f}")

            train_model(recipe, directory, device=device, progress=show)
        if before:
            out.print(f"{directory} holds this training finished already; nothing in it was written", soft_wrap=True)
        measure = shlex.join(["codingspot", "testbed", "info", str(directory), "--evaluate"])
        out.print(f"Model: {directory}; measure it with: {measure}", soft_wrap=True)


@app.command()
def tasks(
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder for the task files and their items.")],
    seed: Annotated[int, typer.Option(help="Seed of the items; 0 gives the shipped ones.")] = 0,
    force: Force = False,
) -> None:
    """Write the testbed's lm-evaluation-harness tasks: YAML files and JSON-lines items.

    Example: codingspot testbed tasks --out my-tasks --seed 7
    """
    from codingspot.testbed.benchmarks import write_benchmarks

    with friendly_errors():
        for path in write_benchmarks(directory, seed, force=force):
            out.print(str(path), soft_wrap=True)


@app.command()
def info(
    model: Annotated[
        str | None,
        typer.Argument(help="A shipped model (testbed, testbed-routed) or a folder; all shipped ones by default."),
    ] = None,
    evaluate: Annotated[bool, typer.Option("--evaluate", help="Measure now and store the figures.")] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Print a testbed model's measured quality.

    Example: codingspot testbed info testbed-routed
    """
    from codingspot.models import shipped_model, shipped_models
    from codingspot.models.shipped import model_source, names_shipped
    from codingspot.testbed.quality import load_quality

    with friendly_errors():
        if model is None:
            folders = [shipped_model(name) for name in shipped_models()]
        else:
            place = Path(model_source(model) if names_shipped(model) else model)
            folders = [place if place.is_dir() else shipped_model(model)]
        if evaluate:
            for folder in folders:
                _measure(folder, force)
        found = {folder.name: load_quality(folder) for folder in folders}
        if as_json:
            print_json({name: quality.model_dump(mode="json") for name, quality in found.items()})
            return
        for name, quality in found.items():
            _print_quality(name, quality)


def _measure(folder: Path, force: bool) -> None:
    from codingspot.models import load_model
    from codingspot.testbed.evaluate import evaluate_testbed
    from codingspot.testbed.quality import check_quality, save_quality
    from codingspot.testbed.routing import Subset
    from codingspot.testbed.shipped import languages_of

    check_quality(folder, force=force)
    subset = Subset.load(folder) if Subset.is_in(folder) else None
    save_quality(
        evaluate_testbed(load_model(folder), languages=languages_of(folder), subset=subset), folder, force=force
    )


def _print_quality(name: str, quality: Any) -> None:
    without = quality.without_subset
    title = f"{name}: {quality.parameters:,} parameters, weights {quality.fingerprint[:12]}"
    table = Table()
    for heading in ("task", "accuracy", *(("subset zeroed",) if without else ()), "chance", "items"):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    for task, measured in quality.tasks.items():
        zeroed = (f"{without[task]:.3f}",) if without else ()
        table.add_row(task, f"{measured.accuracy:.3f}", *zeroed, f"{measured.chance:.2f}", str(measured.items))
    print_table(title, table)
    domains = Table()
    for heading in ("domain", "perplexity", "token occurrences of types English uses too"):
        domains.add_column(heading, justify="left" if heading == "domain" else "right")
    for domain, value in quality.perplexity.items():
        share = quality.shared_vocabulary.get(domain)
        domains.add_row(domain, f"{value:.3f}", "" if share is None else f"{share:.1%}")
    print_table(f"{name}, per domain", domains)


def _recipe(kind: str, scale: float, **settings: Any) -> Any:
    from codingspot.settings import reason
    from codingspot.testbed.recipe import ROUTED_RECIPE, SCATTERED_RECIPE, Recipe

    default = {"plain": Recipe(), "routed": ROUTED_RECIPE, "scattered": SCATTERED_RECIPE}[kind]
    try:
        recipe = Recipe.model_validate({**default.model_dump(), **settings})
        phases = tuple(phase.model_copy(update={"tokens": round(phase.tokens * scale)}) for phase in recipe.phases)
        return recipe.model_copy(update={"phases": phases})
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(f"{'.'.join(str(part) for part in first['loc']) or 'recipe'}: {reason(first)}") from None
