"""Views of a model beside its spots: a folder each, found here, or by the entry points of installed packages.

Importing this package registers them and loads little else; the modules of a view load when it is used.
"""

from importlib import import_module
from pkgutil import iter_modules

from codingspot.views.view import (
    VIEWS,
    Found,
    ParallelSettings,
    Say,
    Tables,
    View,
    ViewInputs,
    ViewTraits,
    Work,
    saved_name,
    views,
    what_is_read,
)

__all__ = [
    "VIEWS",
    "Found",
    "ParallelSettings",
    "Say",
    "Tables",
    "View",
    "ViewInputs",
    "ViewTraits",
    "Work",
    "saved_name",
    "views",
    "what_is_read",
]

for _module in iter_modules(__path__):
    if _module.ispkg:
        import_module(f"{__name__}.{_module.name}")
