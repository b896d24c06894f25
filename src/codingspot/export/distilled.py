"""A distilled checkpoint: a student of some of a model's layers, trained on the model's outputs."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from codingspot.corpus import Corpus, pack
from codingspot.errors import NonFiniteError, SelectionError, StudyError
from codingspot.export.card import reduced_card
from codingspot.export.checkpoint import Checkpoint
from codingspot.export.distillation import distil
from codingspot.export.export import Exported, Given, Tell, not_empty, to_nobody
from codingspot.export.kinds import DistilledExport
from codingspot.export.student import kept_layers, layer_densities, student_of
from codingspot.export.writing import Made, made_of, write_checkpoint
from codingspot.learning import domain_losses
from codingspot.models import LoadedModel, ParameterLayout, input_places
from codingspot.models.loading import quiet
from codingspot.models.section import ModelSection
from codingspot.outputs import check_folder
from codingspot.records import first_fault
from codingspot.spot import Spot
from codingspot.study.corpora import require_source, study_corpora
from codingspot.study.corpus_section import CorpusSection

_HELD_OUT = 4096
"""Most tokens a domain that losses are of."""


def write(given: Given, settings: DistilledExport, directory: Path, force: bool) -> Exported:
    """The command."""
    assert given.model is not None
    inputs = input_places(given.model.id, settings.spot, *settings.corpora)
    check_folder(directory, inputs=inputs, force=force)
    return export_distilled(given.model, directory, settings, force=force, tell=given.tell)


def export_distilled(
    model: ModelSection | str | Path,
    directory: str | Path,
    settings: DistilledExport,
    *,
    force: bool = False,
    tell: Tell = to_nobody,
) -> Exported:
    """Write the checkpoint of a student of a model; see :class:`DistilledExport`.

    ``tell`` hears what is being done, and the share of the training that is done.

    Raises:
        StudyError: layers are kept by the density of a spot that isn't given, or one is given for nothing; or the
            settings of the corpus don't go together.
        SelectionError: the model hasn't more layers, they can't stand alone, or the spot is empty.
        FingerprintError: the spot was found in other weights.
        CorpusError: the text can't be read, or is too little.
        NonFiniteError: the student's loss isn't a number after training.
        ModelError: the model is not found.
        OutputError: something is there already, or it can't be uploaded.
    """
    if settings.keep != "even" and settings.spot is None:
        raise StudyError(f"--keep {settings.keep} is by the density of a spot; name it with --spot")
    if settings.keep == "even" and settings.spot is not None:
        raise StudyError("--spot says nothing of layers that are spread evenly; set --keep dense or --keep sparse")
    section = model if isinstance(model, ModelSection) else ModelSection(id=str(model))
    corpora = _corpora(section.id, settings)

    def make(checkpoint: Checkpoint, folder: Path) -> Made:
        spot = _spot(checkpoint, settings)
        layers = kept_layers(checkpoint.model, settings.layers, settings.keep, spot)
        teacher = section.load()
        student = replace(teacher, model=student_of(teacher.model, checkpoint.found, layers), gguf=None)
        record = {
            **made_of(checkpoint, spot),
            "settings": settings.model_dump(mode="json", exclude={"push", "private"}),
            "layers": {"kept": list(layers), "of": checkpoint.model.config.get_text_config().num_hidden_layers},
            "density": layer_densities(spot) if len(spot) else None,
            "size": [checkpoint.layout.total, ParameterLayout.of(student.model).total],
            "losses": _trained(student, teacher, *corpora, settings, tell),
        }
        saved: Any = student.model
        with quiet(bars=True):
            saved.to(checkpoint.model.dtype).save_pretrained(folder)
        lines = _said(record)
        return Made(lines, record, reduced_card(record, "shortened and distilled", lines))

    return write_checkpoint(section, directory, make, settings, inputs=[settings.spot, *settings.corpora], force=force)


def _corpora(model: str, settings: DistilledExport) -> tuple[Corpus, Corpus]:
    """What is trained on, and the text that losses are of."""
    try:
        section = CorpusSection(
            source=settings.corpora[0] if len(settings.corpora) == 1 else settings.corpora or None,
            languages=settings.languages or None,
            held_out=settings.held_out or None,
            evaluation_documents=settings.evaluation_documents,
            seed=settings.seed,
        )
    except ValidationError as error:
        raise StudyError(f"the corpus can't be used: {first_fault(error)}") from None
    require_source(section, model)
    return study_corpora(section)


def _spot(checkpoint: Checkpoint, settings: DistilledExport) -> Spot:
    """The spot of the settings, found in these weights; an empty one where none is given."""
    if settings.spot is None:
        none = torch.empty(0, dtype=torch.int64)
        return Spot(none, none.float(), checkpoint.layout)
    spot = Spot.load(settings.spot)
    spot = not_empty(spot if settings.k is None else spot.top(settings.k))
    checkpoint.check_spot(spot)
    return spot


def _trained(
    student: LoadedModel, teacher: LoadedModel, training: Corpus, kept: Corpus, settings: DistilledExport, tell: Tell
) -> dict[str, Mapping[str, float]]:
    """Train the student; losses by domain of the teacher and of the student before and after, nats a token."""
    how = {"sequence_length": settings.sequence_length, "seed": settings.seed}
    texts = [pack(each, teacher.tokenizer, token_budget=settings.token_budget, **how) for each in training.scored]
    if not texts:
        raise SelectionError("every domain is held out, so that none is left to train on; hold fewer out")
    held_out = {each.name: pack(each, teacher.tokenizer, **how).first(_HELD_OUT) for each in kept.domains}
    losses = domain_losses(student, held_out)
    tell("losses before training", 0.0)
    found = {"teacher": domain_losses(teacher, held_out)(), "before": losses()}
    with tempfile.TemporaryDirectory() as scratch:
        distil(student.model, teacher.model, torch.cat([each.input_ids for each in texts]), settings, scratch, tell)
    tell("losses after training", 1.0)
    found["after"] = losses()
    for name, loss in found["after"].items():
        if not math.isfinite(loss):
            raise NonFiniteError(f"the student's loss on {name!r} isn't a number after training; lower --learning-rate")
    return found


def _said(record: Mapping[str, Any]) -> tuple[str, ...]:
    layers, (before, after), losses = record["layers"], record["size"], record["losses"]
    kept = ", ".join(map(str, layers["kept"]))
    settings = record["settings"]
    how = "spread evenly" if settings["keep"] == "even" else f"where the spot is {settings['keep']}st"
    return (
        f"Of {layers['of']} layers {len(layers['kept'])} are kept, {how}: {kept}. They were trained on the outputs of "
        f"all for {settings['steps']:,} steps.",
        f"Parameters: {before:,} before, {after:,} after ({after / before:.1%}).",
        *(
            f"Loss of {name}: {loss:.3f} of the original, {losses['before'][name]:.3f} of the layers untrained, "
            f"{losses['after'][name]:.3f} trained."
            for name, loss in losses["teacher"].items()
        ),
    )
