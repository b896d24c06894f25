"""One example as a table to read: layers down, positions of the answer across, the most probable token in each cell."""

from __future__ import annotations

from typing import Final

import pandas as pd
from markupsafe import Markup

from codingspot.escaping import visible
from codingspot.report.labels import domain_label

LENS_STYLE: Final = """
.lens { overflow-x: auto; }
.lens table { border-collapse: collapse; font: 13px/1.3 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
.lens th { padding: 3px 6px; font-weight: 600; text-align: center; white-space: pre; }
.lens tbody th { position: sticky; left: 0; background: Canvas; text-align: right; }
.lens td { padding: 3px 6px; text-align: center; white-space: pre;
  border: 1px solid color-mix(in srgb, CanvasText 12%, transparent);
  background: color-mix(in srgb, #1d6fb8 calc(var(--p) * 55%), transparent); }
.lens td.right { outline: 2px solid #00806a; outline-offset: -2px; }
"""

_SPACE: Final = "␣"
_NEWLINE: Final = "↵"


def example_table(example: pd.DataFrame) -> Markup:
    """The table as HTML, to be styled by :data:`LENS_STYLE`; everything that came from a model is escaped.

    Args:
        example: the ``example`` table of a :class:`~codingspot.views.lens.analysis.LensAnalysis`.
    """
    best = example[example["place"] == 1]
    answers = best[best["layer"] == best["layer"].min()].sort_values("position")
    head = Markup("").join(
        Markup('<th scope="col">{}</th>').format(_shown(text)) for text in answers["answer"].tolist()
    )
    rows = []
    for layer in sorted(best["layer"].unique(), reverse=True):
        cells = Markup("").join(_cells(example[example["layer"] == layer]))
        rows.append(Markup('<tr><th scope="row">{}</th>{}</tr>\n').format(int(layer), cells))
    return Markup(
        '<div class="lens" tabindex="0" role="region" aria-label="Decoded tokens by layer and position"><table>\n'
        '<thead><tr><th scope="col">layer</th>{}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n'
    ).format(head, Markup("").join(rows))


def example_page(example: pd.DataFrame, model: str) -> str:
    """A whole page around :func:`example_table`, which needs no network."""
    pair = f"{domain_label(example['source'].iloc[0])} to {domain_label(example['target'].iloc[0])}"
    return visible(
        Markup(
            '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><title>Logit lens: {pair}</title>\n'
            "<style>body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem; }} {style}</style></head>\n<body>\n"
            "<h1>Logit lens: {pair}</h1>\n<p>{model}. Above: the answer, token by token. Below: the token that "
            "each layer would give there, the last layer first; darker cells are more probable, outlined ones right. "
            "Hold the pointer over a cell for its ten most probable tokens. Layer 0 is the token embeddings.</p>\n"
            "{table}</body>\n</html>\n"
        ).format(pair=pair, model=model, style=Markup(LENS_STYLE), table=example_table(example))
    )


def _cells(layer: pd.DataFrame) -> list[Markup]:
    found = []
    for _, group in layer.groupby("position"):
        ranked = group.sort_values("place")
        listed = "\n".join(
            f"{_shown(token)} {probability:.3f}"
            for token, probability in zip(ranked["token"], ranked["probability"], strict=True)
        )
        found.append(
            Markup('<td{} style="--p: {:.2f}" title="{}">{}</td>').format(
                Markup(' class="right"') if ranked["right"].iloc[0] else "",
                float(ranked["probability"].iloc[0]),
                listed,
                _shown(ranked["token"].iloc[0]),
            )
        )
    return found


def _shown(token: str) -> str:
    """A token with its spaces and line ends to be seen."""
    return token.replace("\n", _NEWLINE).replace(" ", _SPACE).replace("\t", "→")
