"""The command ``score``: a score of every parameter for every domain."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from codingspot.settings_text import read_settings

if TYPE_CHECKING:  # it takes seconds to load, which `--help` should not
    from codingspot.importance import ScoreStore


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(takes_model(score))


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
    from codingspot.errors import FingerprintError, StudyError
    from codingspot.importance import score as score_model
    from codingspot.importance.groups import number_of_groups
    from codingspot.importance.scoring import require_in_shards
    from codingspot.models import input_places, usable_device
    from codingspot.models.ranks import launched, process_group
    from codingspot.models.sharding import device_of_rank, load_in_shards
    from codingspot.models.streaming import streamable, streamed
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
        if layer_by_layer and (launched() or domains_per_group is not None):
            raise StudyError("--layer-by-layer is for one process; leave it out, or torchrun and --domains-per-group")
        if layer_by_layer or (launched() and domains_per_group is None):
            require_in_shards(scoring.estimator, scoring.parameters)
        with StudyProgress() as progress, ExitStack() as stack:
            partial = None if launched() else stack.enter_context(partial_folder(directory))
            show = progress.shares()
            if layer_by_layer:
                streamable(model)
            if launched():
                device_of_rank(model)
            else:
                usable_device(model.device)
            show("reading the corpus", 0.0)
            scored = scoring_corpus(section, model.load_tokenizer(), token_budget)
            if ranks.first(scored.fingerprint) != scored.fingerprint:
                raise FingerprintError(f"rank {ranks.own} reads other text than rank 0; give all the same files")
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
        _show(store, directory, as_json=as_json)


def _show(store: ScoreStore, directory: Path, *, as_json: bool) -> None:
    """Print what each domain was scored with."""
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
