"""Prompts that a causal language model has read, side by side, and their key-value cache."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from codingspot.errors import EvaluationError
from codingspot.evaluation.likelihood import head_at


class CachedBatch:
    """A batch of prompts whose texts grow token by token.

    Args:
        model: a Hugging Face causal language model.
        prompts: token ids, at least one a prompt beyond the shared ones; shorter prompts are padded on the left.
        shared: how many tokens all prompts begin with that are read once; padding then stands behind them.

    Attributes:
        logits: float32 [rows, vocabulary], after each row's last token.

    Raises:
        EvaluationError: the model keeps no key-value cache.
    """

    logits: torch.Tensor

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], shared: int = 0) -> None:
        self._model = model
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self._device = next(model.parameters()).device
        self._cache: Any = None
        if shared:
            self._mask = torch.ones(1, shared, dtype=torch.int64, device=self._device)
            self._read(torch.tensor([list(prompts[0][:shared])], device=self._device))
            self._select(torch.zeros(len(prompts), dtype=torch.int64, device=self._device))
        else:
            self._mask = torch.ones(len(prompts), 0, dtype=torch.int64, device=self._device)
        tokens, mask = _pad_left([prompt[shared:] for prompt in prompts])
        self._mask = torch.cat([self._mask, mask.to(self._device)], dim=1)
        self._read(tokens.to(self._device))

    def extend(self, tokens: Sequence[int]) -> None:
        """Add one token to each row."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        self._read(torch.tensor(list(tokens), device=self._device)[:, None])

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all other rows from the batch and its cache."""
        self._select(torch.tensor(list(rows), device=self._device))

    def _select(self, rows: torch.Tensor) -> None:
        self._cache.reorder_cache(rows)
        self._mask, self.logits = self._mask[rows], self.logits[rows]

    @torch.no_grad()
    def _read(self, tokens: torch.Tensor) -> None:
        """One forward pass over the rows' next tokens, int64 [rows, length]; the mask knows them already."""
        inputs = {"input_ids": tokens, "attention_mask": self._mask}
        if self._takes_positions:
            inputs["position_ids"] = (self._mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        rows = torch.arange(len(tokens))
        with head_at(self._model, rows, torch.full_like(rows, -1)) as select:
            output = self._model(**inputs, past_key_values=self._cache, use_cache=True)
        self._cache = getattr(output, "past_key_values", None)
        if self._cache is None:
            raise EvaluationError(
                f"{type(self._model).__name__} has no key-value cache to generate with; choose another model"
            )
        self.logits = select(output.logits).float()


def _pad_left(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, int64 [prompts, longest]."""
    longest = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), longest, dtype=torch.int64)
    mask = torch.zeros_like(tokens)
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return tokens, mask
