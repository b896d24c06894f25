"""Contrastive decoding: next tokens that a model makes likelier than the same model without its spot does.

1. The expert's logits s_e and the amateur's s_a of each next token are read, each model with a cache of its own.
2. Tokens stay whose probability is at least alpha of the expert's most probable one (Li et al. 2023, arXiv 2210.15097).
3. Of these the score is (1 + beta) s_e - beta s_a (O'Brien and Lewis 2023, arXiv 2309.09117), which differs from the
   same of log-probabilities by a number that all tokens share. With beta 0 it is the expert's own logit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.errors import EvaluationError
from codingspot.evaluation.cached_batch import CachedBatch
from codingspot.settings import check_fields


@dataclass(frozen=True)
class Contrast:
    """How next tokens of an expert and an amateur are contrasted.

    Attributes:
        beta: how much of the amateur is subtracted; 0 leaves the expert as it is.
        alpha: least probability of a token, as a share of the most probable one's.

    Raises:
        EvaluationError: one of them is out of its range.
    """

    beta: Annotated[float, Field(ge=0)] = 0.5
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.1

    def __post_init__(self) -> None:
        try:
            check_fields(self)
        except ValueError as error:
            raise EvaluationError(f"contrastive decoding: {error}; correct it") from None

    def __str__(self) -> str:
        return f"contrasted with the model without the spot (beta {self.beta:g}, alpha {self.alpha:g})"

    def scores(self, expert: Float[Tensor, "rows tokens"], amateur: Float[Tensor, "rows tokens"]) -> Tensor:
        """Scores of the next tokens from the logits of both; minus infinity of what the expert finds implausible."""
        plausible = expert >= expert.amax(-1, keepdim=True) + math.log(self.alpha)
        return (expert + self.beta * (expert - amateur)).masked_fill(~plausible, -math.inf)


class ContrastiveBatch:
    """As :class:`CachedBatch`, of two models that read the same texts; ``logits`` are the contrast's scores.

    Raises:
        EvaluationError: a model keeps no key-value cache.
    """

    def __init__(
        self,
        expert: PreTrainedModel,
        amateur: PreTrainedModel,
        contrast: Contrast,
        prompts: Sequence[Sequence[int]],
        shared: int = 0,
    ) -> None:
        self._expert, self._amateur = CachedBatch(expert, prompts, shared), CachedBatch(amateur, prompts, shared)
        self._contrast = contrast

    @property
    def logits(self) -> Tensor:
        """float32 [rows, vocabulary], after each row's last token."""
        expert = self._expert.logits
        return self._contrast.scores(expert, self._amateur.logits.to(expert.device))

    def extend(self, tokens: Sequence[int]) -> None:
        """Add one token to each row."""
        self._expert.extend(tokens)
        self._amateur.extend(tokens)

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all other rows."""
        self._expert.keep(rows)
        self._amateur.keep(rows)
