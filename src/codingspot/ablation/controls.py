"""Random controls: other parameters in the place of a spot's, in the same number at every k.

A control is a Spot of the same length, whose prefix at k is the control of the spot's prefix at k. It is drawn *apart*,
so that it shares no parameter with the spot, unless it is for a test. There the draws must be such that the spot could
be one of them: drawn from what the spot leaves, they would share parameters with one another and never with the spot,
which would stand out by that alone, the more the larger its share is of what they are drawn from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from codingspot.ablation.drawing import Interval, draw
from codingspot.errors import SelectionError
from codingspot.models import role_of
from codingspot.spot import Spot
from codingspot.spot.candidates import names_in


def uniform_control(spot: Spot, *, seed: int, scope: str = "all", most: int | None = None) -> Spot:
    """As many parameters as the spot has, uniform without replacement from those in scope that it leaves.

    With ``most``, as many as that, or all there are.

    Raises:
        SelectionError: the scope has too few parameters outside the spot.
        StudyError: the scope is unknown.
    """
    intervals = [_interval(spot, name) for name in names_in(spot.layout, scope)]
    taken = np.sort(spot.positions.numpy())
    drawn = draw(intervals, most or len(spot), taken, np.random.default_rng(seed))
    if most is None and len(drawn) < len(spot):
        raise SelectionError(
            f"scope {scope!r} leaves {len(drawn)} parameters outside the spot, fewer than its {len(spot)}; lower k or "
            "draw the control from a wider scope"
        )
    return _control(spot, drawn, {"name": "uniform", "scope": scope, "seed": seed})


def matched_control(spot: Spot, *, seed: int, apart: bool = True) -> Spot:
    """For each of the spot's parameters in order, a random one of the same tensor; where ``apart``, one it leaves.

    So every prefix of the control has as many parameters in each tensor as the spot's. Where a tensor has too few left
    (a spot that takes most of a small one), the rest come from tensors of the same kind, then from anywhere; their
    number is ``unmatched`` in the metadata.

    Raises:
        SelectionError: the model has too few parameters outside the spot.
    """
    generator = np.random.default_rng(seed)
    taken = _taken(spot, apart)
    drawn = np.full(len(spot), -1, dtype=np.int64)
    located = spot.layout.locate(spot.positions)
    for name, group in located.items():
        found = draw([_interval(spot, name)], len(group.source), taken, generator)
        drawn[group.source.numpy()[: len(found)]] = found
    unmatched = _draw_elsewhere(spot, drawn, taken, generator)
    return _control(spot, drawn, {"name": "matched", "seed": seed, "unmatched": unmatched, **how_drawn(apart)})


def how_drawn(apart: bool) -> dict[str, bool]:
    """What a control's record says of how it was drawn, where that isn't apart from the spot."""
    return {} if apart else {"apart": False}


def _taken(spot: Spot, apart: bool) -> np.ndarray:
    return np.sort(spot.positions.numpy()) if apart else np.empty(0, dtype=np.int64)


def _draw_elsewhere(spot: Spot, drawn: np.ndarray, taken: np.ndarray, generator: np.random.Generator) -> int:
    """Fill what a tensor had too few parameters for, from tensors of its kind, then from anywhere; how many."""
    unmatched = int((drawn < 0).sum())
    if unmatched == 0:
        return 0
    for name, group in spot.layout.locate(spot.positions).items():
        kind = role_of(name).kind
        same_kind = [other for other in spot.layout.names if role_of(other).kind == kind]
        _fill(drawn, group.source.numpy(), [_interval(spot, other) for other in same_kind], taken, generator)
    _fill(drawn, np.arange(len(spot)), [(0, spot.layout.total)], taken, generator)
    if (drawn < 0).any():
        raise SelectionError(
            f"the spot has {len(spot)} of the model's {spot.layout.total} parameters, more than it leaves for a "
            "control; lower k"
        )
    return unmatched


def binned_control(
    spot: Spot, values: Callable[[str], np.ndarray], *, by: str, bins: int, seed: int, apart: bool = True
) -> Spot:
    """For each of the spot's parameters in order, a random one of the same tensor and the same bin of a value.

    A tensor's parameters are put in ``bins`` bins of equal size by ``values(tensor)`` (float [size], such as the
    weights' magnitudes or their general scores), so that the control has the spot's distribution of it. Where a bin has
    too few parameters outside the spot, the rest come from the nearest bins with any left, then as in
    :func:`matched_control`; their number is ``unmatched`` in the metadata. ``by`` names the value there.

    Raises:
        SelectionError: ``bins`` is below 1, or the model has too few parameters outside the spot.
    """
    if bins < 1:
        raise SelectionError(f"a control matched by {by} has {bins} bins; it needs at least one")
    drawn = np.full(len(spot), -1, dtype=np.int64)
    unmatched = 0
    for name, group in spot.layout.locate(spot.positions).items():
        generator = np.random.default_rng([seed, spot.layout.names.index(name)])
        found, missed = _draw_in_bins(values(name), group.offsets.numpy(), bins, generator, apart)
        drawn[group.source.numpy()[: len(found)]] = found + spot.layout.slice(name).start
        unmatched += missed
    generator = np.random.default_rng([seed, len(spot.layout.names)])
    unmatched += _draw_elsewhere(spot, drawn, _taken(spot, apart), generator)
    about = {"name": f"matched by {by}", "bins": bins, "seed": seed, "unmatched": unmatched}
    return _control(spot, drawn, {**about, **how_drawn(apart)})


def _draw_in_bins(
    values: np.ndarray, offsets: np.ndarray, bins: int, generator: np.random.Generator, apart: bool
) -> tuple[np.ndarray, int]:
    """Offsets for the first of ``offsets``, from their bins or the nearest with any left, and how many moved."""
    size = len(values)
    order = np.argsort(values, kind="stable")
    bin_of = np.empty(size, dtype=np.min_scalar_type(bins))  # small integers are sorted in one pass
    bin_of[order] = np.arange(size) * bins // size
    free = np.ones(size, dtype=bool)
    free[offsets] = not apart
    shuffled = generator.permutation(np.flatnonzero(free))
    by_bin = shuffled[np.argsort(bin_of[shuffled], kind="stable")]
    starts = np.searchsorted(bin_of[by_bin], np.arange(bins + 1))
    offsets = offsets[: len(shuffled)]
    left = [by_bin[starts[b] : starts[b + 1]][-len(offsets) :].tolist() for b in range(bins)]
    found, moved = np.empty(len(offsets), dtype=np.int64), 0
    for index, wanted in enumerate(bin_of[offsets].tolist()):
        nearest = wanted
        if not left[wanted]:
            nearest = min((b for b in range(bins) if left[b]), key=lambda b: (abs(b - wanted), b))
        moved += int(nearest != wanted)
        found[index] = left[nearest].pop()
    return found, moved


def _fill(
    drawn: np.ndarray,
    source: np.ndarray,
    intervals: Sequence[Interval],
    taken: np.ndarray,
    generator: np.random.Generator,
) -> None:
    """Draw, in place, for those of ``source`` that have none yet, sparing the spot and what is drawn."""
    open_ones = source[drawn[source] < 0]
    if len(open_ones):
        spared = np.sort(np.concatenate([taken, drawn[drawn >= 0]]))
        found = draw(intervals, len(open_ones), spared, generator)
        drawn[open_ones[: len(found)]] = found


def _interval(spot: Spot, name: str) -> Interval:
    found = spot.layout.slice(name)
    return found.start, found.stop


def _control(spot: Spot, positions: np.ndarray, control: dict[str, object]) -> Spot:
    return Spot(
        positions=torch.from_numpy(positions),
        scores=torch.zeros(len(positions)),
        layout=spot.layout,
        metadata={**spot.metadata, "control": control},
    )
