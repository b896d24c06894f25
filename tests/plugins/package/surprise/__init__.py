"""A view: one folder, registered, and named by an entry point."""

from functools import partial

from matplotlib.axes import Axes
from pydantic import Field

from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.report.drawing import Panel, Picture
from codingspot.report.section import Section
from codingspot.report.table import Column, Number, Row, Table
from codingspot.settings import Count, Settings
from codingspot.tables import TableSchema, number, records, text, whole
from codingspot.views import VIEWS, View, ViewTraits, Work


def _prepare(given, settings):
    corpus, held_out = given.texts()
    domains = [domain for domain in held_out.domains if len(domain.texts) >= settings.texts]

    def make(_pieces, say):
        say("measuring surprise", 0.0)
        evaluator = Evaluator(ModelAdapter(given.loaded.model, given.loaded.tokenizer), [], domains)
        losses = evaluator.evaluate("surprise").losses
        return {"surprise": losses.groupby("domain", sort=False, as_index=False)[["tokens", "loss"]].sum()}

    return Work({"weights": given.loaded.fingerprint, "corpus": corpus.fingerprint, "texts": settings.texts}, make)


def _draw(axes: Axes, *, rows) -> None:
    axes.bar(rows["domain"], rows["loss"] / rows["tokens"])


def _section(there, _plan):
    rows = there["surprise"]
    most = rows.loc[(rows["loss"] / rows["tokens"]).idxmax(), "domain"]
    columns = (Column("domain", "Domain"), Column("nats", "Nats a token", "score"))
    values = [(domain, Number(loss / tokens)) for domain, tokens, loss in rows.itertuples(index=False)]
    panel = Panel("by domain", "Nats a token, by domain.", partial(_draw, rows=rows))
    return Section(
        f"The model is surprised most by {most}.",
        (Picture("surprise", "What surprises the model", "Nats a token.", (panel,)),),
        (Table("surprise", "Surprise", "", columns, tuple(Row("", "", "spot", value) for value in values)),),
    )


@VIEWS.register(
    "surprise",
    label="Surprise",
    traits=ViewTraits(
        lambda: View(
            schemas={"surprise": TableSchema((text("domain"), whole("tokens"), number("loss")))},
            prepare=_prepare,
            section=_section,
            told=lambda found, _others: {"surprise": records(found["surprise"])},
            show=lambda found, _others, out: out.print(found["surprise"].to_string()),
        ),
        reads_texts=True,
    ),
)
class SurpriseSettings(Settings):
    """Measure how surprised the model is by each domain.

    Example: codingspot surprise testbed --texts 2
    """

    texts: Count = Field(1, description="fewest texts of a domain")
