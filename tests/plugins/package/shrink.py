"""An edit that multiplies weights, so that its effect is predicted."""

from torch import Tensor

from codingspot.ablation import EDITS, EditTraits, Site


@EDITS.register("shrink", label="shrinking", traits=lambda by: EditTraits(factor=1 / by))
def shrink(values: Tensor, site: Site, *, by: float = 2.0) -> Tensor:
    """Every weight is divided by ``by``."""
    return values / by
