"""A part of a report that something registered makes from its own tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from codingspot.report.drawing import Picture
from codingspot.report.table import Table


@dataclass(frozen=True)
class Section:
    """One section of the page, whose pictures and tables are also files.

    Attributes:
        reading: a paragraph on what is shown and how to read it.
        pictures: in their order.
        tables: in their order; those without rows are left out.
        html: shown between the two; whatever came from outside is escaped in it.
        style: CSS that ``html`` needs.
    """

    reading: str
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    html: Markup = field(default_factory=Markup)
    style: str = ""
