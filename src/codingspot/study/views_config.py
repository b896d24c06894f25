"""The study file's section on views: which are made, and their settings."""

from __future__ import annotations

from pydantic import Field

from codingspot.alignment import AlignSettings
from codingspot.lens import LensSettings
from codingspot.neurons import NeuronSettings
from codingspot.settings import Settings


class ViewsSection(Settings):
    """Views of the model beside its spots; those not named are not made. ``{}`` takes a view's own defaults."""

    neurons: NeuronSettings | None = None
    align: AlignSettings | None = None
    lens: LensSettings | None = None
    across: bool = Field(True, description="whether the views, and the spots, are set beside one another")

    @property
    def any(self) -> bool:
        """Whether a view is asked for."""
        return any(view is not None for view in (self.neurons, self.align, self.lens))
