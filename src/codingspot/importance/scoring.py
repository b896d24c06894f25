"""Scoring a model on a corpus: each domain packed, run through an estimator, and written before the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from codingspot.corpus import BosPolicy, Corpus, Domain, PackedTokens, pack
from codingspot.errors import CorpusError
from codingspot.importance.estimators import DEFAULT_ESTIMATOR, ESTIMATORS, DomainInput, Estimate, resolve
from codingspot.importance.finetune import FineTune, FineTuned, fine_tuned
from codingspot.importance.store import NewDomainScores, Normalisation, ScoreStore
from codingspot.models import LoadedModel, unique_parameters
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
    micro_batch_tokens: int = 2_048,
    seed: int = 0,
    skip_tokens: int = 0,
    bos: BosPolicy = "none",
    finetune: FineTune | None = None,
    on_snapshot: OnSnapshot | None = None,
    progress: Progress | None = None,
    force: bool = False,
    **parameters: Any,
) -> ScoreStore:
    """Score every parameter for every domain of the corpus that is not held out, into the folder ``out``.

    ``token_budget`` is for each domain, whose documents are shuffled by ``seed``; its first ``skip_tokens`` tokens are
    passed over, so that draws with the same seed can be kept apart. ``bos`` says where a beginning-of-text token stands
    (:func:`codingspot.corpus.pack`). ``micro_batch_tokens`` is how many are run at once.
    ``parameters`` are those of the estimator; Taylor saliency has ``reduction`` and ``norm`` (see
    :func:`codingspot.importance.estimators.taylor`). ``normalise`` is kept in the store and applied to magnitudes when
    they are read. ``progress`` hears of every micro-batch; ``on_snapshot`` of the scores at the snapshots that
    ``finetune`` asks for. The loss of every step of fine-tuning is kept with the domain. Memory does not grow with the
    number of domains. ``force`` replaces what this package wrote to ``out`` before.

    Raises:
        OutputError: ``out`` may not be written to (:func:`codingspot.outputs.check_folder`), or overlaps the model's
            folder.
        CorpusError: every domain is held out, one is shorter than a sequence, or ``sequence_length``
            exceeds the model's context.
        NonFiniteError: a loss, gradient or score is NaN or infinite.
        StudyError: the estimator is unknown or a parameter is not one of its own.
    """
    estimator, parameters = resolve(estimator, parameters)
    settings = ESTIMATORS.check(estimator, parameters)
    check_folder(Path(out), inputs=[loaded.folder], force=force)
    run = _Run(loaded, ESTIMATORS.bind(estimator, parameters), micro_batch_tokens, finetune, on_snapshot, progress)
    packed = _packed(loaded, corpus, sequence_length, token_budget, skip_tokens, seed, bos)
    provenance = {
        "model": loaded.record,
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint},
        "estimator": {"name": estimator, **settings},
        "settings": {
            "sequence_length": sequence_length,
            "token_budget": token_budget,
            "micro_batch_tokens": micro_batch_tokens,
            "seed": seed,
            "skip_tokens": skip_tokens,
            "bos": bos,
            "finetune": None if finetune is None else asdict(finetune),
        },
    }
    return ScoreStore.write(
        Path(out),
        run.scores(packed),
        provenance=provenance,
        normalise=normalise,
        inputs=[loaded.folder],
        force=force,
    )


def record_snapshots(
    loaded: LoadedModel,
    corpus: Corpus,
    on_snapshot: OnSnapshot,
    *,
    finetune: FineTune,
    estimator: str = DEFAULT_ESTIMATOR,
    sequence_length: int = 512,
    token_budget: int | None = 65_536,
    micro_batch_tokens: int = 2_048,
    seed: int = 0,
    bos: BosPolicy = "none",
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
    run = _Run(loaded, ESTIMATORS.bind(estimator, parameters), micro_batch_tokens, finetune, on_snapshot, None)
    packed = _packed(loaded, corpus, sequence_length, token_budget, 0, seed, bos)
    losses = {}
    for domain, tokens in packed:
        with run.tuned(tokens) as tuned:
            losses[domain.name] = tuned.losses
    return losses


def _packed(
    loaded: LoadedModel,
    corpus: Corpus,
    sequence_length: int,
    token_budget: int | None,
    skip_tokens: int,
    seed: int,
    bos: BosPolicy,
) -> list[tuple[Domain, PackedTokens]]:
    domains = corpus.scored
    if not domains:
        raise CorpusError(f"every domain of corpus {corpus.name!r} is held out; leave one to score")
    context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if context is not None and sequence_length > context:
        raise CorpusError(f"sequence_length {sequence_length} exceeds the model's context of {context} tokens")
    return [
        (domain, _tokens(domain, loaded, sequence_length, token_budget, skip_tokens, seed, bos)) for domain in domains
    ]


def _tokens(
    domain: Domain,
    loaded: LoadedModel,
    sequence_length: int,
    token_budget: int | None,
    skip_tokens: int,
    seed: int,
    bos: BosPolicy,
) -> PackedTokens:
    to_pack = None if token_budget is None else token_budget + skip_tokens
    packed = pack(domain, loaded.tokenizer, sequence_length=sequence_length, token_budget=to_pack, seed=seed, bos=bos)
    left = packed.input_ids[skip_tokens // sequence_length :]
    if len(left) == 0:
        raise CorpusError(
            f"domain {domain.name!r} has {packed.tokens} tokens, none after the first {skip_tokens}; add text"
        )
    return replace(packed, input_ids=left)


@dataclass(frozen=True)
class _Run:
    """One estimator going through the domains of a model, after fine-tuning on each if that is asked for."""

    loaded: LoadedModel
    estimator: Callable[[DomainInput], Estimate]
    micro_batch_tokens: int
    finetune: FineTune | None
    on_snapshot: OnSnapshot | None
    progress: Progress | None

    def scores(self, packed: Sequence[tuple[Domain, PackedTokens]]) -> Iterator[NewDomainScores]:
        """The scores of one domain after the other."""
        counter = _Counter(self.progress, sum(tokens.tokens + self._tuning_tokens(tokens) for _, tokens in packed))
        for domain, tokens in packed:
            # No local name: a domain's scores must be gone before the next domain's are made.
            yield self._score(domain, tokens, counter.listener(domain.name))

    def _score(self, domain: Domain, tokens: PackedTokens, listener: Callable[[int], None]) -> NewDomainScores:
        """Scores at the weights as they are or, where fine-tuning is asked for, at those it leads to."""
        details = {"tokens": tokens.tokens, "documents": tokens.documents, "duplicates": tokens.duplicates}
        with self.tuned(tokens, listener) as tuned:
            estimate = self._estimate(tokens, tuned.weights, listener)
        return NewDomainScores(
            domain.name,
            domain.kind,
            estimate.scores,
            tokens.predicted_tokens,
            {**details, "loss": estimate.loss, "finetuning_losses": tuned.losses},
        )

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
                self.on_snapshot(tokens.domain, step, self._estimate(tokens, weights))

        with fine_tuned(
            self.loaded.model,
            tokens,
            self.finetune,
            on_step=lambda _done: listener(step_tokens),
            on_snapshot=snapshot,
        ) as tuned:
            yield tuned

    def _estimate(
        self,
        tokens: PackedTokens,
        weights: Mapping[str, Tensor],
        listener: Callable[[int], None] = lambda _tokens: None,
    ) -> Estimate:
        return self.estimator(DomainInput(self.loaded.model, tokens, weights, self.micro_batch_tokens, listener))

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
