"""The study file's section on views: which are made, and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, create_model, model_validator

from codingspot.errors import StudyError
from codingspot.registry import OWN
from codingspot.settings import Settings
from codingspot.views import VIEWS, views


class ViewsSection(Settings):
    """Views of the model beside its spots; those not named are not made. ``{}`` takes a view's own defaults.

    A view without settings is asked for by ``true``.
    """

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _as_registered(cls, asked: Any) -> Any:
        if not isinstance(asked, Mapping):
            return asked
        try:
            fields = {name: _field(name) for name in dict.fromkeys([*own_views(), *asked]) if name in VIEWS}
        except StudyError as error:  # of a faulty package
            raise ValueError(str(error)) from None
        # Faults keep the names of the settings that they are in.
        return dict(create_model("Views", __base__=Settings, **fields).model_validate(dict(asked)))  # type: ignore[call-overload]

    def asked(self) -> dict[str, Settings]:
        """The views that are made, in their order, with their settings."""
        values = dict(self)
        named = [name for name in views() if values.get(name) not in (None, False)]
        return {name: VIEWS[name]() if values[name] is True else values[name] for name in named}

    @property
    def any(self) -> bool:
        """Whether a view is asked for, besides those that are made by default."""
        return any(not VIEWS.traits(name).by_default for name in self.asked())


def own_views() -> list[str]:
    """Names of the views that are no other package's."""
    return [name for name in views() if VIEWS.source(name) == OWN]


def _field(name: str) -> tuple[Any, Any]:
    """The type of a view's settings, and what a study has that doesn't name it."""
    default = VIEWS.traits(name).by_default
    settings = VIEWS[name]
    return (settings | None, settings() if default else None) if settings.model_fields else (bool, default)
