"""Log-likelihoods of continuations under a causal language model held in memory.

1. ``plan`` lays token sequences out in batches: prefixes shared within a row (prefix_tree), rows of similar
   length together (batching). A plan depends on the tokens only, so it serves every edit of the weights.
2. ``log_likelihoods`` runs a plan. The output head sees only the positions that predict a scored token, so no
   [rows, length, vocabulary] tensor exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from codingspot.evaluation.batching import filled_batches, token_batches
from codingspot.evaluation.prefix_tree import TreeRow, ancestor_mask, subtree_ends

_SOFTMAX_CHUNK = 2**24  # logits turned to float32 at a time: 64 MiB
_MAX_LOGITS = 2**27  # logits a batch may make


@dataclass(frozen=True)
class Continuation:
    """A token sequence of which the tokens from ``start`` on are scored, each given all tokens before it.

    Attributes:
        tokens: context and continuation.
        start: number of context tokens, at least 1.
        owner: number of the text it is part of; the scores of one owner's continuations are summed.
    """

    tokens: tuple[int, ...]
    start: int
    owner: int = 0

    @property
    def inputs(self) -> tuple[int, ...]:
        """What the model reads: everything but the last token, which is only predicted."""
        return self.tokens[:-1]


@dataclass(frozen=True)
class LikelihoodBatch:
    """One forward pass and what is read from it.

    Attributes:
        input_ids: int64 [rows, length], padded on the right.
        depths: int64 [rows, length], position of each token in its sequence; None when every row is one sequence.
        ends: int64 [rows, length], see ``prefix_tree.ancestor_mask``; None when every row is one sequence.
        head_rows, head_columns: int64 [positions], where the output head is applied.
        positions: int64 [targets], index into the head's positions.
        targets: int64 [targets], the token predicted there.
        owners: int64 [targets], owner of the continuation the target belongs to.
    """

    input_ids: torch.Tensor
    depths: torch.Tensor | None
    ends: torch.Tensor | None
    head_rows: torch.Tensor
    head_columns: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    owners: torch.Tensor


class _Row(TreeRow):
    """A prefix tree and the targets read from it: (column, token, owner)."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[tuple[int, int, int]] = []

    def add_continuation(self, continuation: Continuation) -> None:
        columns = self.add(continuation.inputs)
        for depth in range(continuation.start - 1, len(columns)):
            self.targets.append((columns[depth], continuation.tokens[depth + 1], continuation.owner))

    def append(self, other: _Row) -> None:
        """Put the trees of another row behind this row's own."""
        offset = len(self)
        self.tokens += other.tokens
        self.depths += other.depths
        self.targets += [(offset + column, token, owner) for column, token, owner in other.targets]


def plan(
    continuations: Sequence[Continuation],
    *,
    max_tokens: int,
    vocabulary: int,
    max_shared_row: int = 0,
    attention_scale: int = 1024,
) -> list[LikelihoodBatch]:
    """Lay continuations out in batches.

    Args:
        continuations: what is to be scored.
        max_tokens: most padded tokens of a batch.
        vocabulary: size of the output head, which bounds the scored positions of a batch.
        max_shared_row: most tokens of a row in which sequences share a prefix; 0 gives every sequence its
            own row.
        attention_scale: row length at which attention costs as much as the rest of the model; about 6 times
            the hidden size, for 12 h^2 multiplications a token and layer outside attention and 2 h L in it.
    """
    rows: list[_Row] = []
    limit = min(max_shared_row, max_tokens)
    for continuation in sorted(continuations, key=lambda each: each.inputs):
        if not rows or not _worth_sharing(rows[-1], continuation.inputs, limit, attention_scale):
            rows.append(_Row())
        rows[-1].add_continuation(continuation)
    # Rows of one sequence keep to themselves: the model's own attention, windows and all, is right for them.
    chains, trees = [row for row in rows if row.is_chain], [row for row in rows if not row.is_chain]
    max_scored = max(1, _MAX_LOGITS // vocabulary)
    batches = [*_chain_batches(chains, max_tokens, max_scored), *_tree_batches(trees, max_tokens, max_scored)]
    return [_batch(batch) for batch in batches]


def _chain_batches(rows: Sequence[_Row], max_tokens: int, max_scored: int) -> Iterator[list[_Row]]:
    lengths, scored = [len(row) for row in rows], [len(row.targets) for row in rows]
    for group in token_batches(lengths, max_tokens, scored=scored, max_scored=max_scored):
        yield [rows[i] for i in group]


def _tree_batches(rows: Sequence[_Row], max_tokens: int, max_scored: int) -> Iterator[list[_Row]]:
    """Batches of rows that hold several trees each: the mask that keeps branches apart keeps trees apart too."""
    lengths, scored = [len(row) for row in rows], [len(row.targets) for row in rows]
    for groups in filled_batches(lengths, max_tokens, scored=scored, max_scored=max_scored):
        filled = [rows[group[0]] for group in groups]
        for row, group in zip(filled, groups, strict=True):
            for i in group[1:]:
                row.append(rows[i])
        yield filled


def _worth_sharing(row: TreeRow, sequence: Sequence[int], limit: int, attention_scale: int) -> bool:
    """Whether growing the row costs less than a new one, where L tokens cost L (1 + L / attention_scale)."""

    def cost(length: int) -> float:
        return length * (1 + length / attention_scale)

    grown = len(row) + len(sequence) - row.shared_with(sequence)
    return grown <= limit and cost(grown) < cost(len(row)) + cost(len(sequence))


def _batch(rows: Sequence[_Row]) -> LikelihoodBatch:
    length = max(len(row) for row in rows)
    columns = torch.arange(length)
    input_ids = torch.zeros(len(rows), length, dtype=torch.int64)
    depths = columns.repeat(len(rows), 1)
    ends = depths + 1
    positions: dict[tuple[int, int], int] = {}
    targets: list[tuple[int, int, int]] = []
    for number, row in enumerate(rows):
        input_ids[number, : len(row)] = torch.tensor(row.tokens)
        depths[number, : len(row)] = torch.tensor(row.depths)
        ends[number, : len(row)] = torch.tensor(subtree_ends(row.depths))
        for column, token, owner in row.targets:
            position = positions.setdefault((number, column), len(positions))
            targets.append((position, token, owner))
    head = torch.tensor(list(positions))
    target = torch.tensor(targets)
    branched = not all(row.is_chain for row in rows)
    return LikelihoodBatch(
        input_ids=input_ids,
        depths=depths if branched else None,
        ends=ends if branched else None,
        head_rows=head[:, 0],
        head_columns=head[:, 1],
        positions=target[:, 0],
        targets=target[:, 1],
        owners=target[:, 2],
    )


@torch.no_grad()
def log_likelihoods(
    model: torch.nn.Module, batches: Sequence[LikelihoodBatch], count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a plan.

    Args:
        model: a Hugging Face causal language model.
        batches: from ``plan``.
        count: number of continuations the plan was made of.

    Returns:
        Summed log-probability in nats of each owner's continuations (float64 [count]; minus infinity where a
        logit is not a number), and whether greedy decoding would produce them all (bool [count]).
    """
    total = torch.zeros(count, dtype=torch.float64)
    greedy = torch.ones(count, dtype=torch.bool)
    for batch in batches:
        logits = forward_batch(model, batch)  # [positions, vocabulary]
        normaliser, best = _normaliser_and_argmax(logits)
        positions = batch.positions.to(logits.device)
        chosen = logits[positions, batch.targets.to(logits.device)].float()
        total.index_add_(0, batch.owners, (chosen - normaliser[positions]).double().cpu())
        missed = best[positions].cpu() != batch.targets
        greedy[batch.owners[missed]] = False
    finite = total.isfinite()
    return total.where(finite, -torch.inf), greedy & finite


def forward_batch(model: torch.nn.Module, batch: LikelihoodBatch) -> torch.Tensor:
    """Logits [positions, vocabulary] of a batch, in the model's type, at the head's positions only."""
    parameter = next(model.parameters())
    inputs: dict[str, torch.Tensor] = {"input_ids": batch.input_ids.to(parameter.device)}
    if batch.depths is not None and batch.ends is not None:
        inputs["position_ids"] = batch.depths.to(parameter.device)
        inputs["attention_mask"] = ancestor_mask(batch.ends.to(parameter.device), parameter.dtype)
    with head_at(model, batch.head_rows, batch.head_columns) as select:
        return select(model(**inputs, use_cache=False).logits)


class _Selection:
    """Picks positions out of the hidden states before the head, or else out of the logits."""

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor) -> None:
        self.rows, self.columns = rows, columns
        self.done = False

    def before_head(self, _head: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        self.done = True
        return (arguments[0][self.rows, self.columns][None], *arguments[1:])

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[0] if self.done else logits[self.rows, self.columns]


@contextmanager
def head_at(model: torch.nn.Module, rows: torch.Tensor, columns: torch.Tensor) -> Iterator[_Selection]:
    """Apply the model's output head to some positions only, by a hook on the head itself.

    The model's own forward runs, with whatever it does to the logits afterwards (scaling, soft-capping), so
    there is nothing to know about the architecture. A model whose head is not a module, or is not called
    with the hidden states first, computes all logits, and the positions are taken from those.

    Args:
        model: a Hugging Face causal language model.
        rows, columns: int64 [positions]; a column may be negative, counted from the end.

    Yields:
        A function that takes the logits the model returned and gives [positions, vocabulary].
    """
    selection = _Selection(rows, columns)
    get_head = getattr(model, "get_output_embeddings", lambda: None)
    head = get_head()
    if not isinstance(head, torch.nn.Module):
        yield selection
        return
    handle = head.register_forward_pre_hook(selection.before_head)
    try:
        yield selection
    finally:
        handle.remove()


def _normaliser_and_argmax(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Float32 log-sum-exp and argmax of each row of ``logits`` [positions, vocabulary], in chunks."""
    step = max(1, _SOFTMAX_CHUNK // logits.shape[-1])
    parts = [(part.float().logsumexp(-1), part.argmax(-1)) for part in torch.split(logits, step)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
