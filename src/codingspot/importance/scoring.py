"""Scoring a model on a corpus: each domain packed, run through an estimator, and written before the next one."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Int64
from torch import Tensor

from codingspot.corpus import Corpus, Domain, PackedTokens, pack
from codingspot.errors import CorpusError, StudyError
from codingspot.importance.draws import sample_offsets
from codingspot.importance.estimators import (
    DEFAULT_ESTIMATOR,
    ESTIMATORS,
    DomainInput,
    Estimate,
    EstimatorTraits,
    details_of,
    estimator_traits,
    micro_batch,
    resolve,
)
from codingspot.importance.finetune import FineTune, FineTuned, fine_tuned
from codingspot.importance.groups import share_of
from codingspot.importance.layerwise import score_layer_by_layer
from codingspot.importance.manifest import Normalisation, ScoreDtype
from codingspot.importance.store import ScoreStore
from codingspot.importance.writing import NewDomainScores, store_writer
from codingspot.models import LoadedModel, ParameterLayout, unique_parameters
from codingspot.models.ranks import Ranks
from codingspot.models.streaming import StreamedModel
from codingspot.outputs import check_folder

Progress = Callable[[str, int, int], None]
"""Hears the domain being scored, the tokens done so far, and the tokens to do in all."""

OnSnapshot = Callable[[str, int, Estimate], None]
"""Hears of the domain, the steps of fine-tuning done, and the scores there."""


def score(
    loaded: LoadedModel,
    corpus: Corpus,
    out: str | Path,
    *,
    estimator: str = DEFAULT_ESTIMATOR,
    normalise: Normalisation = "tokens",
    sequence_length: int = 512,
    token_budget: int | None = 65_536,
    micro_batch_tokens: int | None = None,
    seed: int = 0,
    finetune: FineTune | None = None,
    on_snapshot: OnSnapshot | None = None,
    draws: Sequence[Path] = (),
    sample_only: bool = False,
    folded: bool = False,
    keep_dtype: ScoreDtype = "float32",
    partial: Path | None = None,
    ranks: Ranks | None = None,
    progress: Progress | None = None,
    force: bool = False,
    **parameters: Any,
) -> ScoreStore:
    """Score every parameter for every domain of the corpus that is not held out, into the folder ``out``.

    ``token_budget`` is for each domain, whose documents are shuffled by ``seed`` and packed by
    :func:`codingspot.corpus.pack`. ``micro_batch_tokens`` is how many are run at once, by default
    :func:`codingspot.importance.micro_batch`'s.
    ``parameters`` are those of the estimator; Taylor saliency has ``reduction`` and ``norm`` (see
    :func:`codingspot.importance.estimators.taylor`). ``normalise`` is kept in the store and applied to magnitudes when
    they are read. ``progress`` hears of every micro-batch; ``on_snapshot`` of the scores at the snapshots that
    ``finetune`` asks for. The loss of every step of fine-tuning is kept with the domain. ``draws`` are folders, one for
    each disjoint draw that the budget is cut into, for a store of that draw's scores at a sample of the parameters
    (:mod:`codingspot.importance.draws`); with ``sample_only``, ``out`` itself holds no more. Of ``folded`` languages
    ``out`` keeps the sum of magnitudes alone, as one domain (:mod:`codingspot.importance.writing`).
    ``keep_dtype`` float16 takes half the disk (:mod:`codingspot.importance.halving`); draws stay float32. In the folder
    ``partial`` a scoring that is stopped leaves the domains that it finished, and the same goes on from there.
    Memory does not grow with the number of domains. A :class:`codingspot.models.streaming.StreamedModel` is scored
    layer by layer (:mod:`codingspot.importance.layerwise`). ``ranks`` are those of several groups
    (:meth:`codingspot.models.ranks.Ranks.divided`), each of which has loaded the model and scores its share of the
    domains (:mod:`codingspot.importance.groups`) into the one store: all call this, with the same arguments. By default
    they are those that hold this model together. ``force`` replaces what this package wrote to ``out`` before.

    Raises:
        OutputError: ``out`` may not be written to (:func:`codingspot.outputs.check_folder`), or overlaps the model's
            folder.
        CorpusError: every domain is held out, one is shorter than a sequence, or ``sequence_length``
            exceeds the model's context.
        NonFiniteError: a loss, gradient or score is NaN or infinite.
        StudyError: the estimator is unknown or a parameter is not one of its own; or the scores of several draws don't
            add up to those of all; or they are to be folded and normalised otherwise than by tokens; or several ranks
            can't do what is asked for, or make more groups than there are domains.
        FingerprintError: the ranks were given different models, corpora or settings.
    """
    estimator, parameters = resolve(estimator, parameters)
    settings = ESTIMATORS.check(estimator, parameters)
    traits = estimator_traits(estimator, parameters)
    if len(draws) > 1 and (finetune is not None or not traits.additive):
        raise StudyError(f"scores by {estimator} of several draws of text don't add up; ask for one draw")
    if folded and normalise != "tokens":
        raise StudyError(f"scores normalised by {normalise} can't be folded; keep them all, or normalise by tokens")
    check_folder(Path(out), inputs=[loaded.folder], force=force)
    layout = ParameterLayout.of(loaded.model)
    group = Ranks.of(loaded.model.parameters())
    ranks = group if ranks is None else ranks
    streamed = isinstance(loaded, StreamedModel)
    if group.count > 1 or streamed:
        require_in_shards(estimator, parameters)
    if ranks.count > 1 or streamed:
        asked: dict[str, object] = {"finetune": finetune, "draws": draws, "sample_only": sample_only, "folded": folded}
        if ranks.count > 1:
            asked["partial"] = partial
        given = next((name for name, value in asked.items() if value), None)
        if given is not None:
            raise StudyError(
                f"{given} needs the whole model and all domains in one process; leave it out, or score {_AS_A_WHOLE}"
            )
    micro_batch_tokens = micro_batch(micro_batch_tokens, layout.total, loaded.device.type)
    sample = sample_offsets(layout.sizes) if draws or sample_only else {}
    bound = ESTIMATORS.bind(estimator, parameters)
    run = _Run(loaded, bound, micro_batch_tokens, finetune, on_snapshot, progress, traits, sample)
    packed = share_of(_packed(loaded, corpus, sequence_length, token_budget, seed), ranks, group)
    starts = [_starts(tokens, token_budget, len(draws)) for _, tokens in packed]
    provenance: dict[str, Any] = {
        "model": loaded.record,
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint},
        "estimator": {"name": estimator, **settings},
        "settings": {
            "sequence_length": sequence_length,
            "token_budget": token_budget,
            "micro_batch_tokens": micro_batch_tokens,
            "seed": seed,
            "bos": loaded.bos,
            "finetune": None if finetune is None else asdict(finetune),
            "folded": folded,
        },
    }
    share = None if token_budget is None or not draws else token_budget // len(draws)
    of_a_draw = {**provenance, "settings": {**provenance["settings"], "token_budget": share}}
    made: list[tuple[Path, dict[str, Any], ScoreDtype]] = [(folder, of_a_draw, "float32") for folder in draws]
    made.insert(0, (Path(out), provenance, keep_dtype))  # entered first, it appears last
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                store_writer(
                    folder,
                    provenance=each,
                    normalise=normalise,
                    keep_dtype=dtype,
                    inputs=[loaded.folder],
                    force=force,
                    partial=None if partial is None else partial / folder.name,
                    ranks=ranks,
                )
            )
            for folder, each, dtype in made
        ]
        whole, own = (None, writers) if sample_only else (writers[0], writers[1:])
        done = set(writers[0].texts)
        if any(done - set(writer.texts) for writer in own):  # stopped while the draws' stores were being put in place
            done = set()
        for writer in writers:
            writer.forget_all_but(done)
        for new, of_draws in () if streamed else run.scores(packed, starts, done):
            for writer, each in zip(own, of_draws, strict=True):
                writer.add(each)
            if whole is not None:  # last, so that whatever it has the draws have too
                (whole.fold if folded and new.kind == "code" else whole.add)(new)
            del new, of_draws  # a domain's scores must be gone before the next domain's are made
        if isinstance(loaded, StreamedModel):
            left = [(domain, tokens) for domain, tokens in packed if domain.name not in done]
            heard = _Counter(progress, (len(loaded.parts) + 1) * sum(tokens.tokens for _, tokens in left))
            score_layer_by_layer(loaded, left, bound, micro_batch_tokens, writers[0], heard.listener)
    return ScoreStore.open(out)


def require_in_shards(estimator: str, parameters: Mapping[str, Any]) -> None:
    """Make sure that several ranks can score by an estimator together, each its part of the parameters.

    Raises:
        StudyError: it needs the whole model, or the estimator or a parameter is unknown.
    """
    if not estimator_traits(estimator, parameters).in_shards:
        known = ", ".join(name for name in ESTIMATORS if estimator_traits(name, {}).in_shards)
        raise StudyError(
            f"scores by {estimator} need the whole model in one process; use {known}, or score {_AS_A_WHOLE}"
        )


_AS_A_WHOLE = "without torchrun and --layer-by-layer, or by torchrun in groups of one process (--domains-per-group)"


def record_snapshots(
    loaded: LoadedModel,
    corpus: Corpus,
    on_snapshot: OnSnapshot,
    *,
    finetune: FineTune,
    estimator: str = DEFAULT_ESTIMATOR,
    sequence_length: int = 512,
    token_budget: int | None = 65_536,
    micro_batch_tokens: int | None = None,
    seed: int = 0,
    **parameters: Any,
) -> dict[str, tuple[float, ...]]:
    """Fine-tune on every domain as :func:`score` does, and let ``on_snapshot`` hear of its snapshots; nothing is kept.

    Returns the loss of every step, by domain.

    Raises:
        CorpusError: as :func:`score`.
        NonFiniteError: a loss, gradient or score is NaN or infinite.
        StudyError: the estimator is unknown or a parameter is not one of its own.
    """
    estimator, parameters = resolve(estimator, parameters)
    total = ParameterLayout.of(loaded.model).total
    micro_batch_tokens = micro_batch(micro_batch_tokens, total, loaded.model.device.type)
    run = _Run(loaded, ESTIMATORS.bind(estimator, parameters), micro_batch_tokens, finetune, on_snapshot)
    packed = _packed(loaded, corpus, sequence_length, token_budget, seed)
    losses = {}
    for domain, tokens in packed:
        with run.tuned(tokens) as tuned:
            losses[domain.name] = tuned.losses
    return losses


def _packed(
    loaded: LoadedModel, corpus: Corpus, sequence_length: int, token_budget: int | None, seed: int
) -> list[tuple[Domain, PackedTokens]]:
    domains = corpus.scored
    if not domains:
        raise CorpusError(f"every domain of corpus {corpus.name!r} is held out; leave one to score")
    context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if context is not None and sequence_length > context:
        raise CorpusError(f"sequence_length {sequence_length} exceeds the model's context of {context} tokens")
    how: dict[str, Any] = {
        "sequence_length": sequence_length,
        "token_budget": token_budget,
        "seed": seed,
    }
    return [(domain, pack(domain, loaded.tokenizer, **how)) for domain in domains]


def _starts(tokens: PackedTokens, token_budget: int | None, draws: int) -> tuple[int, ...]:
    """The sequence that each draw begins with: the budget is cut into equal shares, whatever there is of the text."""
    starts = tokens.starts(max(1, draws), token_budget)
    if starts[-1] >= len(tokens.input_ids):
        before = (draws - 1) * ((token_budget or 0) // draws)
        raise CorpusError(
            f"domain {tokens.domain!r} has {tokens.tokens} tokens, none after the first {before}; add text"
        )
    return starts


_UNKNOWN = EstimatorTraits()


@dataclass(frozen=True)
class _Run:
    """One estimator going through the domains of a model, after fine-tuning on each if that is asked for."""

    loaded: LoadedModel
    estimator: Callable[[DomainInput], Estimate]
    micro_batch_tokens: int
    finetune: FineTune | None
    on_snapshot: OnSnapshot | None
    progress: Progress | None = None
    traits: EstimatorTraits = _UNKNOWN
    sample: Mapping[str, Int64[Tensor, " m"]] = field(default_factory=dict)

    def scores(
        self, packed: Sequence[tuple[Domain, PackedTokens]], starts: Sequence[tuple[int, ...]], done: Container[str]
    ) -> Iterator[tuple[NewDomainScores, list[NewDomainScores]]]:
        """The scores of one domain after the other, but those ``done``, and those of its draws at the sample."""
        counter = _Counter(self.progress, sum(tokens.tokens + self._tuning_tokens(tokens) for _, tokens in packed))
        for (domain, tokens), own_starts in zip(packed, starts, strict=True):
            if domain.name in done:
                counter.listener(domain.name)(tokens.tokens + self._tuning_tokens(tokens))
                continue
            # No local name: a domain's scores must be gone before the next domain's are made.
            yield self._score(domain, tokens, own_starts, counter.listener(domain.name))

    def _score(
        self, domain: Domain, tokens: PackedTokens, starts: tuple[int, ...], listener: Callable[[int], None]
    ) -> tuple[NewDomainScores, list[NewDomainScores]]:
        """Scores at the weights as they are or, where fine-tuning is asked for, at those it leads to."""
        with self.tuned(tokens, listener) as tuned:
            given = self._input(tokens, tuned.weights, listener, starts)
            estimate = self._estimate(given)
        whole = NewDomainScores(
            domain.name,
            domain.kind,
            estimate.scores,
            tokens.predicted_tokens,
            {**details_of(tokens), "loss": estimate.loss, "finetuning_losses": tuned.losses},
        )
        if not self.sample:
            return whole, []
        texts = [draw.tokens for draw in given.draws()]
        return whole, [
            NewDomainScores(domain.name, domain.kind, sampled, text.predicted_tokens, {"tokens": text.tokens})
            for sampled, text in zip(estimate.draws, texts, strict=True)
        ]

    def _estimate(self, given: DomainInput) -> Estimate:
        """Scores of all the text, and of each draw at the sample."""
        if self.traits.in_one_pass or not self.sample:
            return self.estimator(given)
        parts = given.draws()
        total: dict[str, Tensor] = {}
        losses, sampled = [], []
        for part in parts:
            found = self.estimator(part)
            sampled.append({name: found.scores[name].flatten()[offsets] for name, offsets in self.sample.items()})
            share = part.tokens.predicted_tokens / given.tokens.predicted_tokens
            losses.append(None if found.loss is None else found.loss * share)
            for name, scores in found.scores.items():
                weighted = scores if len(parts) == 1 else scores.mul_(share)
                total[name] = total[name].add_(weighted) if name in total else weighted
            del found, scores, weighted
        known = [loss for loss in losses if loss is not None]
        return Estimate(total, sum(known) if len(known) == len(losses) else None, tuple(sampled))

    def _input(
        self,
        tokens: PackedTokens,
        weights: Mapping[str, Tensor],
        listener: Callable[[int], None] = lambda _tokens: None,
        starts: tuple[int, ...] = (0,),
    ) -> DomainInput:
        return DomainInput(self.loaded.model, tokens, weights, self.micro_batch_tokens, listener, starts, self.sample)

    @contextmanager
    def tuned(
        self, tokens: PackedTokens, listener: Callable[[int], None] = lambda _tokens: None
    ) -> Iterator[FineTuned]:
        """The model fine-tuned on ``tokens`` inside the block, its snapshots scored on the way; or as it is."""
        if self.finetune is None:
            yield FineTuned((), unique_parameters(self.loaded.model))
            return
        step_tokens = self._tuning_tokens(tokens) // max(1, self.finetune.steps)

        def snapshot(step: int, weights: Mapping[str, Tensor]) -> None:
            if self.on_snapshot is not None:
                self.on_snapshot(tokens.domain, step, self.estimator(self._input(tokens, weights)))

        with fine_tuned(
            self.loaded.model,
            tokens,
            self.finetune,
            on_step=lambda _done: listener(step_tokens),
            on_snapshot=snapshot,
        ) as tuned:
            yield tuned

    def _tuning_tokens(self, tokens: PackedTokens) -> int:
        if self.finetune is None:
            return 0
        return self.finetune.steps * self.finetune.sequences_per_step * tokens.input_ids.shape[1]


class _Counter:
    """Adds up the tokens of all domains for the caller's progress."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def listener(self, domain: str) -> Callable[[int], None]:
        def on_tokens(tokens: int) -> None:
            self._done += tokens
            if self._progress is not None:
                self._progress(domain, self._done, self._total)

        return on_tokens
