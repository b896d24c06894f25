"""Scoring a model on a corpus: each domain packed, run through an estimator, and written before the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from codingspot.corpus import BosPolicy, Corpus, Domain, PackedTokens, pack
from codingspot.errors import CorpusError
from codingspot.importance.estimators import ESTIMATORS, DomainInput, Estimate, resolve
from codingspot.importance.finetune import FineTune, FineTuned, fine_tuned
from codingspot.importance.store import NewDomainScores, Normalisation, ScoreStore
from codingspot.models import LoadedModel, unique_parameters

Progress = Callable[[str, int, int], None]
"""Hears the domain being scored, the tokens done so far, and the tokens to do in all."""


def score(
    loaded: LoadedModel,
    corpus: Corpus,
    out: Path,
    *,
    estimator: str = "taylor",
    normalise: Normalisation = "tokens",
    sequence_length: int = 512,
    token_budget: int | None = 65_536,
    micro_batch_tokens: int = 2_048,
    seed: int = 0,
    skip_tokens: int = 0,
    bos: BosPolicy = "none",
    finetune: FineTune | None = None,
    progress: Progress | None = None,
    **parameters: Any,
) -> ScoreStore:
    """Score every parameter for every domain of the corpus that is not held out, into the folder ``out``.

    ``token_budget`` is for each domain, whose documents are shuffled by ``seed``; its first ``skip_tokens`` tokens are
    passed over, so that draws with the same seed can be kept apart. ``bos`` says where a beginning-of-text token stands
    (:func:`codingspot.corpus.pack`). ``micro_batch_tokens`` is how many are run at once.
    ``parameters`` are those of the estimator; Taylor saliency has ``reduction`` and ``norm`` (see
    :func:`codingspot.importance.estimators.taylor`). ``normalise`` is kept in the store and applied to magnitudes when
    they are read. ``progress`` hears of every micro-batch. Memory does not grow with the number of domains.

    Raises:
        CorpusError: every domain is held out, one is shorter than a sequence, or ``sequence_length``
            exceeds the model's context.
        NonFiniteError: a loss, gradient or score is NaN or infinite.
        StudyError: the estimator is unknown or a parameter is not one of its own.
    """
    domains = corpus.scored
    if not domains:
        raise CorpusError(f"every domain of corpus {corpus.name!r} is held out; leave one to score")
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    if context is not None and sequence_length > context:
        raise CorpusError(f"sequence_length {sequence_length} exceeds the model's context of {context} tokens")
    estimator, parameters = resolve(estimator, parameters)
    settings = ESTIMATORS.check(estimator, parameters)
    packed = {
        domain.name: _tokens(domain, loaded, sequence_length, token_budget, skip_tokens, seed, bos)
        for domain in domains
    }
    provenance = {
        "model": {"id": loaded.id, "revision": loaded.revision, "fingerprint": loaded.fingerprint},
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
    run = ESTIMATORS.bind(estimator, parameters)
    counter = _Counter(progress, sum(tokens.tokens for tokens in packed.values()))

    def scored() -> Iterator[NewDomainScores]:
        for domain in domains:
            # No local name: a domain's scores must be gone before the next domain's are made.
            yield _score_domain(loaded, domain, packed[domain.name], run, finetune, micro_batch_tokens, counter)

    return ScoreStore.write(out, scored(), provenance=provenance, normalise=normalise)


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


def _score_domain(
    loaded: LoadedModel,
    domain: Domain,
    tokens: PackedTokens,
    run: Callable[[DomainInput], Estimate],
    finetune: FineTune | None,
    micro_batch_tokens: int,
    counter: _Counter,
) -> NewDomainScores:
    """Scores at the weights as they are or, where fine-tuning is asked for, at those it leads to."""
    details = {"tokens": tokens.tokens, "documents": tokens.documents, "duplicates": tokens.duplicates}
    unchanged = nullcontext(FineTuned((), unique_parameters(loaded.model)))
    with fine_tuned(loaded.model, tokens, finetune) if finetune else unchanged as tuned:
        listener = counter.listener(domain.name)
        estimate = run(DomainInput(loaded.model, tokens, tuned.weights, micro_batch_tokens, listener))
    return NewDomainScores(
        domain.name,
        domain.kind,
        estimate.scores,
        tokens.predicted_tokens,
        {**details, "loss": estimate.loss, "finetuning_losses": tuned.losses},
    )


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
