"""Language-specific neurons by the entropy of their activation probabilities (LAPE).

Tang et al., arXiv 2402.16438, section 3; for programming languages, arXiv 2506.01074:

1. P[neuron, domain] is the share of the domain's tokens on which the neuron is active.
2. The entropy of a neuron is that of P over domains, divided by its sum: H = -sum p log p, in nats.
3. The threshold is the 0.95 quantile of all P: the k-th smallest, k = round(0.95 n). A neuron none of whose P lies
   above it is dismissed.
4. Of the others, those with the lowest entropy are specific to the domains whose P lies above the same bar.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from codingspot.errors import SelectionError
from codingspot.views.neurons import Selection

SELECTIONS: tuple[Selection, ...] = ("lape", "per-language")


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy in nats of each neuron's probabilities over domains, float64 ``[neurons]``; infinite where all are 0.

    Args:
        probabilities: float64 ``[neurons, domains]``.
    """
    sums = probabilities.sum(1, keepdims=True)
    shares = np.divide(probabilities, sums, out=np.zeros_like(probabilities), where=sums > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.where(sums[:, 0] > 0, -(shares * logs).sum(1), np.inf)


def bar(probabilities: np.ndarray, quantile: float) -> float:
    """The k-th smallest of all probabilities, k = round(quantile n) with n their number, and at least 1.

    Raises:
        SelectionError: ``quantile`` is not in (0, 1).
    """
    if not 0 < quantile < 1:
        raise SelectionError(f"the quantile of activation probabilities is {quantile}; use one above 0 and below 1")
    flat = probabilities.ravel()
    place = max(1, round(quantile * flat.size)) - 1
    return float(np.partition(flat, place)[place])


def number_of(size: float, neurons: int) -> int:
    """How many neurons ``size`` means: a share of all ``neurons`` below 1, a number from 1 on; one at least.

    Raises:
        SelectionError: ``size`` is not above 0, or more than there are.
    """
    number = round(size * neurons) if size < 1 else round(size)
    if size <= 0 or number > neurons:
        raise SelectionError(f"{size:g} of {neurons} neurons can't be selected; give a share below 1 or a number")
    return max(1, number)


def select(
    probabilities: np.ndarray,
    domains: tuple[str, ...],
    *,
    selection: Selection,
    size: float,
    quantile: float = 0.95,
    exclusive: bool = False,
) -> dict[str, np.ndarray]:
    """The neurons specific to each domain, int64, lowest entropy first; ties go by the neuron's number.

    Args:
        probabilities: float64 ``[neurons, domains]``.
        domains: names of the columns.
        selection: see :data:`Selection`.
        size: a share of all neurons, or a number of them: together for ``lape``, for each domain for ``per-language``.
        quantile: of all probabilities; the threshold and the bar.
        exclusive: only neurons specific to no other domain. They are taken out of what was selected, so fewer remain.

    Raises:
        SelectionError: there are fewer than two domains, or ``size`` or ``quantile`` is out of range.
    """
    if len(domains) < 2:
        raise SelectionError(f"specific to one of {len(domains)} domains means nothing; give at least two")
    active = probabilities > bar(probabilities, quantile)
    kept = np.asarray(active.any(1))
    order = np.argsort(entropy(probabilities), kind="stable")
    order = order[kept[order]]
    number = number_of(size, len(probabilities))
    if selection == "lape":
        found = {name: order[:number][active[order[:number], i]] for i, name in enumerate(domains)}
    else:
        found = {name: order[active[order, i]][:number] for i, name in enumerate(domains)}
    return exclusive_only(found) if exclusive else found


def exclusive_only(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each domain's neurons without those of any other."""
    neurons, counts = np.unique(np.concatenate(list(found.values())), return_counts=True)
    shared = neurons[counts > 1]
    return {name: chosen[~np.isin(chosen, shared)] for name, chosen in found.items()}
