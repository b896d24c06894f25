"""A part of a report that something registered makes from its own tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from markupsafe import Markup

from codingspot.report.drawing import Picture
from codingspot.report.table import Table

Place = Literal["questions", "place", "method"]
"""Where on the page: among further questions, where the spots lie, or how it was measured."""

REGIONS: Final = "Does each language have a region of its own?"
REGIONS_READING: Final = (
    "If zeroing one language's spot harms all languages alike, and their spots coincide as far as one does with "
    "itself in other text, the region is shared."
)
"""The question that several analyses answer together."""


@dataclass(frozen=True)
class Section:
    """One section of the page, whose pictures and tables are also files.

    Attributes:
        reading: a paragraph on what is shown and how to read it.
        pictures: in their order; those without panels are left out.
        tables: in their order; those without rows are left out.
        html: shown between the two; whatever came from outside is escaped in it.
        style: CSS that ``html`` needs.
        title: its heading; that of what makes it where empty.
        place: of an analysis's, where it stands.
    """

    reading: str
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    html: Markup = field(default_factory=Markup)
    style: str = ""
    title: str = ""
    place: Place = "questions"

    def shown(self, title: str) -> Section:
        """What of it there is to show, under ``title`` where it has none of its own."""
        tables = tuple(table for table in self.tables if table.has_rows)
        pictures = tuple(picture for picture in self.pictures if picture.panels)
        return replace(self, tables=tables, pictures=pictures, title=self.title or title)


def under_one_title(sections: Iterable[Section]) -> tuple[Section, ...]:
    """Sections of one title and place put together, where the first of them stands."""
    found: dict[tuple[Place, str], Section] = {}
    for section in sections:
        if section.pictures or section.tables:
            key = section.place, section.title
            one = found.get(key, replace(section, pictures=(), tables=()))
            pictures, tables = (*one.pictures, *section.pictures), (*one.tables, *section.tables)
            found[key] = replace(one, pictures=pictures, tables=tables)
    return tuple(found.values())
