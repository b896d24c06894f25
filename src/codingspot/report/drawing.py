"""From panels to files: PNG with all panels of a figure, and one SVG a panel for the page.

The SVG takes its colours from the page's CSS variables and its text is text, so that a dark page, a narrow screen and
a screen reader all get it.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

from codingspot.escaping import visible
from codingspot.report.marks import Marks
from codingspot.report.theme import CSS_VARIABLES, figure_style

FigureFormat = Literal["png", "pdf", "svg"]
"""How a picture may be written."""
_METADATA: Final[Mapping[FigureFormat, tuple[str, ...]]] = {
    "png": ("Software",),
    "pdf": ("CreationDate", "Creator", "Producer"),
    "svg": ("Date", "Creator"),
}
"""What of the file's metadata would tell when and with what it was written."""
_DPI: Final = 150
_SVG_DPI: Final = 72  # matplotlib draws every SVG at that
_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes:
        title: above the axes; on the page, above the picture.
        description: what it shows, for readers who can't see it.
        draw: draws on empty axes; gives the :class:`~codingspot.report.marks.Marks` that can be pointed at, if any.
        size: width and height in inches.
    """

    title: str
    description: str
    draw: Callable[[Axes], object]
    size: tuple[float, float] = (4.1, 3.3)


@dataclass(frozen=True)
class Picture:
    """A figure of the report: a file name without suffix, a title, a caption and its panels."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]


def save_picture(picture: Picture, folder: Path, formats: Sequence[FigureFormat] = ("png",)) -> None:
    """Write all panels, beside one another, as ``NAME.png``, ``.pdf`` or ``.svg`` in ``folder``.

    The same picture gives the same bytes; PDF and SVG bring their fonts.
    """
    with figure_style():
        widths = [panel.size[0] for panel in picture.panels]
        size = sum(widths), max(panel.size[1] for panel in picture.panels)
        figure = Figure(figsize=size, layout="constrained", dpi=_DPI)
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(picture.panels), squeeze=False, width_ratios=widths)[0]
        for panel, one in zip(picture.panels, axes, strict=True):
            panel.draw(one)
            one.set_title(panel.title)
        _show_all(figure)
        _lay_out(figure)
        for format_ in formats:
            metadata = dict.fromkeys(_METADATA[format_])
            with rc_context({"svg.fonttype": "path"}):  # such as another program draws without the fonts
                figure.savefig(folder / f"{picture.name}.{format_}", dpi=_DPI, metadata=metadata)


def to_svg(panel: Panel, identifier: str) -> str:
    """One panel as an ``<svg>`` element for the page; every id in it begins with ``identifier``.

    What can be pointed at in it is JSON in its ``<metadata>`` (:meth:`codingspot.report.marks.Marks.to_json`).
    """
    with figure_style():
        figure = Figure(figsize=panel.size, layout="constrained", dpi=_SVG_DPI)
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        drawn = panel.draw(axes)
        marks = drawn if isinstance(drawn, Marks) else Marks(())  # a plotting call gives what it drew
        _show_all(figure)
        _lay_out(figure)
        marks.name_artists()
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        width, height = (_SVG_DPI * side for side in panel.size)
        data = marks.to_json(axes, (width, height)) if marks.series else ""
    return _for_page(text.getvalue(), panel.description, identifier, data)


def _lay_out(figure: Figure) -> None:
    """Settle the layout, which saving a figure would do by drawing it twice."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def _show_all(figure: Figure) -> None:
    """Write out what can't be seen in any text of the figure: XML allows no control characters, and fonts have none."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            shown = [visible(label) for label in labels]
            if shown != labels:  # names, in fixed places; a tick's text is made anew from them at every drawing
                axis.set_ticklabels(shown)
    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_text(visible(text.get_text()))


def _for_page(svg: str, description: str, identifier: str, data: str) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(svg)  # comments and the document type are dropped
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for name, value in element.attrib.items():
            element.set(name, _attribute(name.rpartition("}")[2], value, identifier))
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{identifier}-title")
    title = ET.Element(f"{{{_SVG}}}title", {"id": f"{identifier}-title"})
    title.text = description
    root.insert(0, title)
    if data:
        ET.SubElement(root, f"{{{_SVG}}}metadata").text = data
    return ET.tostring(root, encoding="unicode")


def _attribute(name: str, value: str, identifier: str) -> str:
    if name == "id":
        return f"{identifier}-{value}"
    if name == "href":
        return value.replace("#", f"#{identifier}-", 1)
    value = value.replace("url(#", f"url(#{identifier}-")
    if name == "style":
        # Families are the page's; sizes stay.
        value = re.sub(r"font: (?:[a-z0-9]+ )*?([\d.]+px) [^;]*", _font, value)
    if name in ("style", "fill", "stroke"):
        for colour, variable in CSS_VARIABLES.items():
            value = value.replace(colour, f"var({variable})")
    return value


def _font(found: re.Match[str]) -> str:
    weight = "; font-weight: 700" if re.search(r"\b(?:bold|700)\b", found.group(0)) else ""
    return f"font-size: {found.group(1)}{weight}"
