"""The testbed: training its model, writing its tasks, saying how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.progress import Progress
from rich.table import Table

from codingspot.cli.console import err, friendly_errors, out, print_json
from codingspot.errors import StudyError

app = typer.Typer(help="The shipped model's own recipe, tasks and measured quality.", no_args_is_help=True)


@app.command()
def train(
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder of the model; resumes there.")],
    architecture: Annotated[str, typer.Option(help="llama or gpt_neo.")] = "llama",
    hidden_size: Annotated[int, typer.Option(help="Width.")] = 192,
    layers: Annotated[int, typer.Option(help="Number of layers.")] = 6,
    mlp_size: Annotated[int, typer.Option(help="Width of the MLP.")] = 512,
    scale: Annotated[float, typer.Option(help="Share of the default number of training tokens.")] = 1.0,
    code_share: Annotated[float | None, typer.Option(help="Share of documents that hold programs.")] = None,
    language: Annotated[list[str] | None, typer.Option(help="A programming language; repeat. All by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the text and the initial weights.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; a GPU where there is one.")] = None,
) -> None:
    """Train a testbed model from scratch: about 75 minutes on two cores at the default size.

    Example: codingspot testbed train --out runs/testbed --scale 0.1
    """
    from codingspot.testbed.training import train as train_model

    with friendly_errors(f"the same command resumes {directory} where it stopped"):
        recipe = _recipe(
            scale,
            architecture=architecture,
            hidden_size=hidden_size,
            layers=layers,
            mlp_size=mlp_size,
            code_share=code_share,
            seed=seed,
            **({"languages": tuple(language)} if language else {}),
        )
        with Progress(console=err, transient=True) as display:
            task = display.add_task("training", total=recipe.steps)

            def show(step: int, steps: int, loss: float) -> None:
                del steps
                display.update(task, completed=step, description=f"training, loss {loss:.3f}")

            train_model(recipe, directory, device=device, progress=show)
        out.print(
            f"Model: {directory}; measure it with: codingspot testbed info {directory} --evaluate", soft_wrap=True
        )


@app.command()
def tasks(
    directory: Annotated[Path, typer.Option("--out", "-o", help="Folder for the task files and their items.")],
    seed: Annotated[int, typer.Option(help="Seed of the items; 0 gives the shipped ones.")] = 0,
) -> None:
    """Write the testbed's lm-evaluation-harness tasks: YAML files and JSON-lines items.

    Example: codingspot testbed tasks --out my-tasks --seed 7
    """
    from codingspot.files import write_text
    from codingspot.testbed.benchmarks import TASKS, write_benchmarks

    with friendly_errors():
        for path in write_benchmarks(directory, seed):
            out.print(str(path), soft_wrap=True)
        for path in sorted(TASKS.glob("*.yaml")):
            write_text(directory / path.name, path.read_text(encoding="utf-8"))
            out.print(str(directory / path.name), soft_wrap=True)


@app.command()
def info(
    model: Annotated[Path | None, typer.Argument(help="Folder of a testbed model; the shipped one by default.")] = None,
    evaluate: Annotated[bool, typer.Option("--evaluate", help="Measure now and store the figures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a testbed model's measured quality.

    Example: codingspot testbed info
    """
    from codingspot.testbed.evaluate import evaluate_testbed, load_quality, save_quality
    from codingspot.testbed.shipped import shipped_model

    with friendly_errors():
        folder = model or shipped_model()
        if evaluate:
            from codingspot.models import load_model

            save_quality(evaluate_testbed(load_model(folder)), folder)
        quality = load_quality(folder)
        if as_json:
            print_json(quality.model_dump(mode="json"))
            return
        table = Table(
            title=f"{quality.parameters:,} parameters, weights {quality.fingerprint[:12]}", title_justify="left"
        )
        for heading in ("task", "accuracy", "chance", "items"):
            table.add_column(heading, justify="left" if heading == "task" else "right")
        for name, task in quality.tasks.items():
            table.add_row(name, f"{task.accuracy:.3f}", f"{task.chance:.2f}", str(task.items))
        out.print(table)
        domains = Table(title="per domain", title_justify="left")
        for heading in ("domain", "perplexity", "token occurrences of types English uses too"):
            domains.add_column(heading, justify="left" if heading == "domain" else "right")
        for name, value in quality.perplexity.items():
            share = quality.shared_vocabulary.get(name)
            domains.add_row(name, f"{value:.3f}", "" if share is None else f"{share:.1%}")
        out.print(domains)


def _recipe(scale: float, **settings: Any) -> Any:
    from codingspot.testbed.recipe import Recipe

    try:
        recipe = Recipe(**settings)
        phases = tuple(phase.model_copy(update={"tokens": round(phase.tokens * scale)}) for phase in recipe.phases)
        return Recipe(**settings, phases=phases)
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(f"{'.'.join(str(part) for part in first['loc']) or 'recipe'}: {first['msg']}") from None
