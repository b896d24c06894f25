"""The stages one by one, on artefacts: score, spot, eval."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from codingspot.cli.console import (
    AsJson,
    Force,
    StudyProgress,
    friendly_errors,
    one_voice,
    print_json,
    print_table,
    setting_error,
)
from codingspot.cli.options import PLACE, takes_model
from codingspot.cli.texts import (
    Documents,
    General,
    HeldOut,
    Languages,
    OrderSeed,
    SequenceLength,
    Sources,
    TokenBudget,
    corpus_section,
)
from codingspot.models.section import ModelSection
from codingspot.remote import local_path
from codingspot.settings_text import read_settings

if TYPE_CHECKING:  # loading the stages takes seconds, which `--help` should not
    from codingspot.evaluation.contrastive import Contrast
    from codingspot.evaluation.served import ServedGenerator
    from codingspot.spot import Spot


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(takes_model(score))
    app.command()(spot)
    app.command("eval")(takes_model(evaluate))


def score(
    model: ModelSection,
    directory: Annotated[Path, typer.Option("--out", "-o", **PLACE, help="Folder of the score store.")],
    corpus: Sources = None,
    language: Languages = None,
    general: General = None,
    held_out: HeldOut = None,
    documents: Documents = 0,
    estimator: Annotated[str, typer.Option(help="How; see `codingspot methods estimator`.")] = "taylor",
    reduction: Annotated[
        str | None, typer.Option(help="Of taylor, as --set reduction=...: corpus, microbatch or sequence.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="An estimator's parameter, NAME=VALUE; repeat.")
    ] = None,
    token_budget: TokenBudget = 8192,
    sequence_length: SequenceLength = 256,
    seed: OrderSeed = 0,
    keep_dtype: Annotated[
        str, typer.Option(help="In what type scores are kept: float32, or float16 at half the disk.")
    ] = "float32",
    layer_by_layer: Annotated[
        bool, typer.Option("--layer-by-layer", help="Bring one layer at a time from disk to the device.")
    ] = False,
    domains_per_group: Annotated[
        int | None,
        typer.Option(
            help="Under torchrun: divide its processes into groups that hold the model each, and score so many domains "
            "or fewer, at the same time.",
            min=1,
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Score every parameter for every domain: |theta * dL/dtheta|, kept signed.

    Example: codingspot score testbed --out runs/scores --token-budget 4096

    Example: codingspot score my-model --corpus corpora/tiny --held-out python --out runs/scores

    A model larger than memory: codingspot score my-model --layer-by-layer --corpus corpora/tiny --out runs/scores

    What is finished when this is stopped stays in OUT.partial, from which the same command goes on.

    In shards: torchrun --nproc-per-node 8 -m codingspot score my-model --corpus corpora/tiny --out runs/scores

    In groups, each of which scores some domains: the same with --domains-per-group 5
    """
    from codingspot.directories import partial_folder, partial_path
    from codingspot.errors import StudyError
    from codingspot.importance import score as score_model
    from codingspot.importance.groups import number_of_groups
    from codingspot.importance.scoring import require_in_shards
    from codingspot.models import input_places
    from codingspot.models.ranks import launched, process_group
    from codingspot.models.sharding import load_in_shards
    from codingspot.models.streaming import streamed
    from codingspot.outputs import check_folder
    from codingspot.study.corpora import scoring_corpus
    from codingspot.study.scoring_section import ScoringSection

    kept = f"the same command goes on from the domains that are finished, if any, in {partial_path(directory)}"
    resumes = "" if launched() else kept
    with friendly_errors(resumes), one_voice(), process_group() as ranks:
        check_folder(directory, inputs=input_places(model.id, *(corpus or ())), force=force)
        section = corpus_section(model.id, corpus, language, general, held_out or None, documents=documents, seed=seed)
        parameters = read_settings([*(setting or []), *([f"reduction={reduction}"] if reduction else [])])
        with setting_error():
            scoring = ScoringSection.model_validate(
                {
                    "estimator": estimator,
                    "parameters": parameters,
                    "token_budget": token_budget,
                    "sequence_length": sequence_length,
                    "seed": seed,
                    "draws": 1,
                    "keep_dtype": keep_dtype,
                }
            )
        if launched() and layer_by_layer:
            raise StudyError("--layer-by-layer is for one process; leave it out, or torchrun")
        if layer_by_layer or (launched() and domains_per_group is None):
            require_in_shards(scoring.estimator, scoring.parameters)
        with StudyProgress() as progress, ExitStack() as stack:
            partial = None if launched() else stack.enter_context(partial_folder(directory))
            show = progress.shares()
            show("reading the corpus", 0.0)
            scored = scoring_corpus(section, model.load_tokenizer(), token_budget)
            groups = number_of_groups(len(scored.scored), domains_per_group, ranks.count)
            group = ranks.divided(groups)
            if group.count > 1:
                require_in_shards(scoring.estimator, scoring.parameters)
            where = f", group 1 of {groups}" if groups > 1 else ""
            show("loading the model", 0.0)
            load = functools.partial(load_in_shards, ranks=group) if launched() else ModelSection.load
            loaded = stack.enter_context(streamed(model)) if layer_by_layer else load(model)
            store = score_model(
                loaded,
                scored,
                directory,
                progress=lambda domain, done, total: show(f"scoring {domain}{where}", done / total),
                estimator=scoring.estimator,
                token_budget=token_budget,
                sequence_length=sequence_length,
                seed=seed,
                keep_dtype=scoring.keep_dtype,
                partial=partial,
                ranks=ranks,
                force=force,
                **scoring.parameters,
            )
        rows = [
            {"domain": domain.name, "kind": domain.kind, **{key: domain.details[key] for key in ("tokens", "loss")}}
            for domain in store.domains
        ]
        if as_json:
            print_json({"scores": str(directory), "parameters": store.layout.total, "domains": rows})
            return
        table = Table()
        for heading in ("domain", "kind", "tokens", "loss (nats/token)"):
            table.add_column(heading, justify="right" if heading not in ("domain", "kind") else "left")
        for row in rows:
            loss = "" if row["loss"] is None else f"{row['loss']:.4f}"
            table.add_row(row["domain"], row["kind"], f"{row['tokens']:,}", loss)
        print_table(f"{directory}: {store.layout.total:,} parameters", table)


def spot(
    scores: Annotated[Path, typer.Argument(**PLACE, help="A score store made by `codingspot score`.")],
    file: Annotated[Path, typer.Option("--out", "-o", **PLACE, help="File of the spot.")],
    recipe: Annotated[
        str,
        typer.Option(
            help="How scores are combined; see `codingspot methods recipe`. One that is trained, such as "
            "learned, is for a study file."
        ),
    ] = "sum",
    scope: Annotated[str, typer.Option(help="Which weights; see `codingspot methods scope`.")] = "all",
    k: Annotated[float, typer.Option("--k", help="Percentage of all parameters; smaller doses are prefixes.")] = 1.0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A recipe's parameter, NAME=VALUE; repeat.")
    ] = None,
    per_tensor: Annotated[bool, typer.Option("--per-tensor", help="Rank within each tensor.")] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Select the top k percent of all parameters by a recipe, exactly.

    Example: codingspot spot runs/scores --recipe set_difference --set general_percent=20 --out spot.safetensors

    In parts: torchrun --nproc-per-node 8 -m codingspot spot runs/scores --out spot.safetensors
    """
    from codingspot import learning as learning  # registers its recipe, so that it's named for what it is
    from codingspot import units as units  # registers its recipe and controls
    from codingspot.importance import ScoreStore
    from codingspot.models.ranks import process_group
    from codingspot.outputs import check_file
    from codingspot.spot import check_recipe, density, find_spot
    from codingspot.spot.spot import is_spot

    with friendly_errors(), one_voice(), process_group() as ranks:
        check_file(file, is_spot, inputs=[scores], force=force)
        settings = check_recipe(recipe, {"per_tensor": per_tensor, **read_settings(setting or [])})
        store = ScoreStore.open(scores)
        found = find_spot(store, recipe=recipe, scope=scope, max_k_percent=k, ranks=ranks, **settings)
        if ranks.own > 0:
            return
        found.save(file, force=force)
        share = density(found).groupby("block", sort=False)[["parameters", "selected"]].sum()
        if as_json:
            blocks = share.reset_index().astype(object).to_dict("records")
            print_json({"spot": str(file), "parameters": len(found), "blocks": blocks})
            return
        table = Table()
        for heading in ("block", "parameters", "selected", "share of spot"):
            table.add_column(heading, justify="left" if heading == "block" else "right")
        for block, row in share.iterrows():
            part = row["selected"] / len(found)
            table.add_row(str(block), f"{row['parameters']:,}", f"{row['selected']:,}", f"{part:.1%}")
        print_table(f"{file}: {len(found):,} parameters", table)


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
        if as_json:
            print_json(rows)
            return
        table = Table()
        for heading in ("task", "rate", "95% interval", "chance", "items", "how"):
            table.add_column(heading, justify="left" if heading in ("task", "how") else "right")
        for name, row in rows.items():
            interval = f"{row['low']:.3f}-{row['high']:.3f}"
            table.add_row(
                name, f"{row['rate']:.3f}", interval, f"{row['chance']:.2f}", f"{row['items']}", row["protocol"]
            )
        print_table(f"{model.id}: rows in {directory}", table)


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
