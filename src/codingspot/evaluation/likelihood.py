"""Log-likelihoods of continuations under a causal language model held in memory.

1. ``plan`` lays token sequences out in batches: prefixes shared within a row (prefix_tree), rows of similar
   length together (batching). A plan depends on the tokens only, so it serves every edit of the weights.
2. ``log_likelihoods`` runs a plan. The output head sees only the positions that predict a scored token, a chunk of
   them at a time, so no [rows, length, vocabulary] tensor exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from codingspot.evaluation.batching import filled_batches, token_batches
from codingspot.evaluation.prefix_tree import TreeRow, ancestor_mask, subtree_ends
from codingspot.models import OutputHead


@dataclass(frozen=True)
class Continuation:
    """A token sequence of which the tokens from ``start`` on are scored, each given all tokens before it.

    Attributes:
        tokens: context and continuation.
        start: number of context tokens, at least 1.
        owner: number of the text it is part of; the scores of one owner's continuations are summed.
        classes: a number for each scored token, by which scores can be told apart; all are 0 where empty.
    """

    tokens: tuple[int, ...]
    start: int
    owner: int = 0
    classes: tuple[int, ...] = ()

    @property
    def scored(self) -> int:
        """Number of tokens that are scored."""
        return len(self.tokens) - self.start

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
        classes: int64 [targets], class of the target.
    """

    input_ids: torch.Tensor
    depths: torch.Tensor | None
    ends: torch.Tensor | None
    head_rows: torch.Tensor
    head_columns: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    owners: torch.Tensor
    classes: torch.Tensor


class _Row(TreeRow):
    """A prefix tree and the targets read from it: (column, token, owner, class)."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[tuple[int, ...]] = []

    def add_continuation(self, continuation: Continuation) -> None:
        columns = self.add(continuation.inputs)[continuation.start - 1 :]
        scored = continuation.tokens[continuation.start :]
        classes = continuation.classes or (0,) * continuation.scored
        for column, token, number in zip(columns, scored, classes, strict=True):
            self.targets.append((column, token, continuation.owner, number))

    def append(self, other: _Row) -> None:
        """Put the trees of another row behind this row's own."""
        offset = len(self)
        self.tokens += other.tokens
        self.depths += other.depths
        self.targets += [(offset + column, *rest) for column, *rest in other.targets]


def plan(
    continuations: Sequence[Continuation],
    *,
    max_tokens: int,
    max_shared_row: int = 0,
    attention_scale: int = 1024,
) -> list[LikelihoodBatch]:
    """Lay continuations out in batches.

    Args:
        continuations: what is to be scored.
        max_tokens: most padded tokens of a batch.
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
    batches = [*_chain_batches(chains, max_tokens), *_tree_batches(trees, max_tokens)]
    return [_batch(batch) for batch in batches]


def _chain_batches(rows: Sequence[_Row], max_tokens: int) -> Iterator[list[_Row]]:
    for group in token_batches([len(row) for row in rows], max_tokens):
        yield [rows[i] for i in group]


def _tree_batches(rows: Sequence[_Row], max_tokens: int) -> Iterator[list[_Row]]:
    """Batches of rows that hold several trees each: the mask that keeps branches apart keeps trees apart too."""
    for groups in filled_batches([len(row) for row in rows], max_tokens):
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
    targets: list[tuple[int, ...]] = []
    for number, row in enumerate(rows):
        input_ids[number, : len(row)] = torch.tensor(row.tokens)
        depths[number, : len(row)] = torch.tensor(row.depths)
        ends[number, : len(row)] = torch.tensor(subtree_ends(row.depths))
        for column, *rest in row.targets:
            position = positions.setdefault((number, column), len(positions))
            targets.append((position, *rest))
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
        classes=target[:, 3],
    )


@torch.no_grad()
def log_likelihoods(
    model: torch.nn.Module, batches: Sequence[LikelihoodBatch], count: int, *, max_logits: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a plan.

    Args:
        model: a Hugging Face causal language model.
        batches: from ``plan``.
        count: number of continuations the plan was made of.
        max_logits: see :data:`codingspot.models.MAX_LOGITS`.

    Returns:
        Summed log-probability in nats of each owner's continuations (float64 [count]; minus infinity where a
        logit is not a number), and whether greedy decoding would produce them all (bool [count]).
    """
    total = torch.zeros(count, dtype=torch.float64)
    greedy = torch.ones(count, dtype=torch.bool)
    head = OutputHead(model, max_logits=max_logits)
    for batch in batches:
        chosen, best = _read_targets(head, batch)
        total.index_add_(0, batch.owners, chosen)
        greedy[batch.owners[best != batch.targets]] = False
    finite = total.isfinite()
    return total.where(finite, -torch.inf), greedy & finite


@torch.no_grad()
def log_likelihoods_by_class(
    model: torch.nn.Module, batches: Sequence[LikelihoodBatch], count: int, classes: int
) -> tuple[Float64[Tensor, " count"], Float64[Tensor, "count classes"]]:
    """The log-probabilities of :func:`log_likelihoods`, and the same apart by the targets' ``classes`` classes."""
    total = torch.zeros(count, dtype=torch.float64)
    apart = torch.zeros(count * classes, dtype=torch.float64)
    head = OutputHead(model)
    for batch in batches:
        chosen, _ = _read_targets(head, batch)
        total.index_add_(0, batch.owners, chosen)
        apart.index_add_(0, batch.owners * classes + batch.classes, chosen)
    total, apart = (each.where(each.isfinite(), -torch.inf) for each in (total, apart))
    return total, apart.view(count, classes)


def _read_targets(head: OutputHead, batch: LikelihoodBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each target (float64 [targets]) and the most probable token in its place (int64 [targets])."""
    states = _states(head, batch)
    chosen = torch.empty(len(batch.targets))
    best = torch.empty(len(batch.targets), dtype=torch.int64)
    for chunk in head.chunks(states):
        logits = head.logits(states[chunk])
        inside = (batch.positions >= chunk.start) & (batch.positions < chunk.stop)
        positions = (batch.positions[inside] - chunk.start).to(logits.device)
        normaliser = logits.float().logsumexp(-1)
        found = logits[positions, batch.targets[inside].to(logits.device)].float() - normaliser[positions]
        chosen[inside], best[inside] = found.cpu(), logits.argmax(-1)[positions].cpu()
    return chosen.double(), best


def forward_batch(model: torch.nn.Module, batch: LikelihoodBatch) -> torch.Tensor:
    """Logits [positions, vocabulary] of a small batch, in the model's type, at the head's positions only."""
    head = OutputHead(model)
    return head.logits(_states(head, batch))


def _states(head: OutputHead, batch: LikelihoodBatch) -> torch.Tensor:
    """What the head reads at its positions, [positions, width]."""
    inputs: dict[str, torch.Tensor] = {}
    if batch.depths is not None and batch.ends is not None:
        parameter = next(head.model.parameters())
        inputs["position_ids"] = batch.depths
        inputs["attention_mask"] = ancestor_mask(batch.ends.to(parameter.device), parameter.dtype)
    return head.states(batch.input_ids, **inputs)[batch.head_rows, batch.head_columns]


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
