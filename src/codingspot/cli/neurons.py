"""Language-specific neurons: codingspot neurons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from codingspot.cli.console import StudyProgress, friendly_errors, out, print_json, setting_error
from codingspot.cli.texts import Bos, General, Languages, Sources, corpus_section

if TYPE_CHECKING:  # loading torch takes seconds, which `--help` should not
    from codingspot.neurons import NeuronAnalysis

_COLUMNS = 8


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(neurons)


def neurons(
    model: Annotated[
        str, typer.Argument(help="Hub id, folder, GGUF file, or the shipped 'testbed' or 'testbed-routed'.")
    ] = "testbed",
    directory: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; resumed where it holds the same analysis.")
    ] = None,
    corpus: Sources = None,
    language: Languages = None,
    general: General = None,
    purify: Annotated[bool, typer.Option("--purify/--no-purify", help="Whether comments go from code.")] = True,
    documents: Annotated[int, typer.Option(help="Texts a domain, at most; 0: all.", min=0)] = 400,
    evaluation_documents: Annotated[int, typer.Option(help="Texts a domain kept for perplexity.", min=1)] = 6,
    token_budget: Annotated[int, typer.Option(help="Tokens a domain on which activations are counted.", min=1)] = 8192,
    sequence_length: Annotated[int, typer.Option(help="Tokens a sequence.", min=2)] = 256,
    size: Annotated[
        float, typer.Option(help="Neurons: a share of all below 1, a number from 1 on; for lape of all domains.")
    ] = 0.01,
    selection: Annotated[
        str, typer.Option(help="Whose neurons are silenced: lape or per-language. Both are listed.")
    ] = "per-language",
    quantile: Annotated[float, typer.Option(help="Of all activation probabilities: threshold and bar.")] = 0.95,
    exclusive: Annotated[bool, typer.Option("--exclusive", help="Only neurons specific to one domain.")] = False,
    control_seed: Annotated[
        list[int], typer.Option(help="A seed of matched random neurons, one draw a domain; repeat.")
    ] = [0, 1, 2, 3, 4],  # noqa: B006 - typer copies it
    no_controls: Annotated[bool, typer.Option("--no-controls", help="Draw no random neurons.")] = False,
    task: Annotated[
        list[str] | None, typer.Option(help="A task, such as testbed_humaneval, run under each edit; repeat.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="First items of each task.", min=1)] = None,
    batch_tokens: Annotated[int, typer.Option(help="Tokens of a forward pass.", min=1)] = 4096,
    compare_with: Annotated[
        list[Path] | None,
        typer.Option("--compare", help="Run directory of another model's neurons (its --out); repeat."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the texts and their order.")] = 0,
    bos: Bos = "tokenizer",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
    unsafe_no_sandbox: Annotated[
        bool, typer.Option("--unsafe-no-sandbox", help="Run generated programs without a sandbox.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the MLP neurons specific to each language (LAPE), and silence them.

    A neuron is specific where the entropy of its activation probability over domains is lowest. Perplexity of every
    domain's held-out text is taken with the neurons of each silenced, beside random neurons of the same layers that are
    active as often.

    Example: codingspot neurons testbed --out runs/neurons

    Example: codingspot neurons testbed-routed --out runs/routed --compare runs/neurons

    Example: codingspot neurons my-model --corpus corpora/github --size 400
    """
    with friendly_errors("the same command resumes where it stopped"), setting_error():
        from codingspot.directories import held
        from codingspot.models import input_places, load_model
        from codingspot.neurons import NeuronSettings, compare, records, saved_neurons, summary
        from codingspot.study.corpora import study_corpora
        from codingspot.study.views import study_neurons

        settings = NeuronSettings(
            token_budget=token_budget,
            sequence_length=sequence_length,
            size=size,
            selection=selection,
            quantile=quantile,
            exclusive=exclusive,
            control_seeds=() if no_controls else tuple(control_seed),
            tasks=tuple(task or ()),
            limit=limit,
            seed=seed,
        )
        section = corpus_section(
            model,
            corpus,
            language,
            general,
            held_out=(),  # every domain is counted
            purified=purify,
            documents=documents,
            evaluation_documents=evaluation_documents,
            seed=seed,
        )
        others = [saved_neurons(path) for path in compare_with or ()]  # before the work, which takes minutes
        place = directory or Path("runs/neurons")
        read = input_places(model, *(corpus or ()), *(compare_with or ()))
        with held(place, inputs=read), StudyProgress() as progress:
            progress.stage("loading the model")
            loaded = load_model(model, device=device, bos=bos)
            scored, kept = study_corpora(section)
            analysis = study_neurons(
                loaded,
                scored,
                kept,
                settings,
                place,
                batch_tokens=batch_tokens,
                unsafe_no_sandbox=unsafe_no_sandbox,
                say=progress.shares(),
            )
        if as_json:
            told = summary(analysis)
            if others:
                told["compare"] = records(compare([analysis, *others]))
            print_json(told)
            return
        _print(analysis)
        if others:
            _print_comparison([analysis, *others])
        out.print(f"Tables: {place / 'analysis'}", soft_wrap=True)


def _table(title: str, *headings: str) -> Table:
    out.print(title, style="bold", soft_wrap=True)
    table = Table(box=None, padding=(0, 1, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def _print(analysis: NeuronAnalysis) -> None:
    import math

    from codingspot.neurons import diagonal_and_rest, domain_summary

    chosen = analysis.inputs["settings"]["selection"]
    layers = analysis.layers[analysis.layers["selection"] == chosen]
    deepest = int(layers["layer"].max())
    step = math.ceil((deepest + 1) / _COLUMNS)
    starts = range(0, deepest + 1, step)
    heads = [str(first) if step == 1 else f"{first}-{min(first + step - 1, deepest)}" for first in starts]
    table = _table(f"{analysis.inputs['model']}: specific neurons ({chosen}) by layer", "domain", "all", "only", *heads)
    for domain, group in layers.groupby("domain", sort=False):
        counts = [int(group.loc[group["layer"].between(first, first + step - 1), "specific"].sum()) for first in starts]
        exclusive = int(group["exclusive"].sum())
        table.add_row(str(domain), str(sum(counts)), str(exclusive), *(str(count or "·") for count in counts))
    out.print(table)
    out.print("only: specific to no other domain\n", style="dim")

    table = _table(
        "Change of perplexity with neurons silent", "domain", "own", "others", "random, own", "random, others"
    )
    for row in domain_summary(analysis).to_dict("records"):
        table.add_row(row["domain"], *(_ratio(row[key]) for key in ("own", "others", "random_own", "random_others")))
    means = {row["silent"]: row for row in diagonal_and_rest(analysis.ablation).to_dict("records")}
    values = [means[key][kind] for key in ("neurons", "random") if key in means for kind in ("own", "others")]
    table.add_row("mean", *map(_ratio, values), style="bold")
    out.print(table)
    out.print("random: neurons of the same layers that are active as often, mean of all draws\n", style="dim")
    _print_tasks(analysis)
    _print_sweep(analysis)


def _print_sweep(analysis: NeuronAnalysis) -> None:
    from codingspot.neurons import sweep_summary

    quantile = analysis.inputs["settings"]["quantile"]
    table = _table("How firm the sets are", "varied", "", "neurons", "Jaccard", "lowest")
    for row in sweep_summary(analysis).to_dict("records"):
        at = f"{row['quantile']:g}" if row["varied"] == "quantile" else f"{row['share']:.0%}"
        jaccard = (_score(row[key]) for key in ("jaccard", "lowest"))
        table.add_row(row["varied"], at, f"{row['selected']:,}", *jaccard)
    out.print(table)
    out.print(
        f"Jaccard index with the sets of all text at quantile {quantile:g}, mean and lowest domain\n", style="dim"
    )


def _print_tasks(analysis: NeuronAnalysis) -> None:
    if not len(analysis.tasks):
        return
    own = analysis.tasks[analysis.tasks["control"] == ""]
    drawn = analysis.tasks[analysis.tasks["control"] != ""].groupby(["ablated", "task"])["rate"].mean()
    table = _table("Tasks with neurons silent: rate of items solved", "domain", "task", "original", "silent", "random")
    for row in own.to_dict("records"):
        random = drawn.get((row["ablated"], row["task"]), float("nan"))
        rates = map(_score, (row["original"], row["rate"], random))
        table.add_row(row["ablated"], str(row["task"]).removeprefix("testbed_"), *rates)
    out.print(table)
    items = ", ".join(
        f"{row['items']:,} of {str(row['task']).removeprefix('testbed_')}"
        for row in own.drop_duplicates("task").to_dict("records")
    )
    out.print(f"items: {items}\n", style="dim", soft_wrap=True)


def _print_comparison(analyses: list[NeuronAnalysis]) -> None:
    from codingspot.neurons import compare, differing_inputs, records

    rows = records(compare(analyses))
    table = _table("Models side by side", "", *(str(row["model"]).rstrip("/").rpartition("/")[2] for row in rows))
    words = {
        "neurons": "specific neurons, all domains",
        "exclusive_share": "share of them in one domain only",
        "depth": "mean depth (0: first layer, 1: last)",
        "exclusive_depth": "mean depth of exclusive ones",
        "specific_sharing": "specific neurons shared, mean Jaccard",
        "active_sharing": "active neurons shared, mean Jaccard",
        "own": "perplexity ratio, own neurons silent",
        "others": "the same, other domains",
        "random_own": "the same, random neurons",
    }
    for key, text in words.items():
        table.add_row(text, *(f"{row[key]:,}" if key == "neurons" else _score(row[key]) for row in rows))
    out.print(table)
    differing = differing_inputs(analyses)
    if differing:
        out.print(f"not made alike: {', '.join(differing)} differ", style="yellow", soft_wrap=True)
    out.print()


def _score(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"


def _ratio(value: float) -> str:
    change = 100 * (value - 1)
    if value != value:
        return "-"
    return f"{change:+.2f}%".replace("-0.00", "+0.00") if abs(change) < 100 else f"{change:+.0f}%"
