"""Language-specific MLP neurons by the entropy of their activations (LAPE), and what silencing them does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from codingspot.settings import Count, Name, Seed, Settings
from codingspot.views.view import VIEWS, ViewTraits

if TYPE_CHECKING:
    from codingspot.views.view import View

Selection = Literal["lape", "per-language"]
"""``lape``: the lowest share of all neurons, each for every domain above the bar (arXiv 2402.16438). ``per-language``:
for each domain so many of the neurons above its bar (arXiv 2506.01074)."""


def _load() -> View:
    from codingspot.views.neurons.view import NEURONS

    return NEURONS


@VIEWS.register(
    "neurons",
    label="Neurons",
    reference="Tang et al., arXiv 2402.16438; for programming languages, arXiv 2506.01074",
    traits=ViewTraits(_load, place=1, reads_texts=True, runs_programs=True, compares=True),
)
class NeuronSettings(Settings):
    """Find the MLP neurons specific to each language (LAPE), and silence them.

    A neuron is specific where the entropy of its activation probability over domains is lowest. Perplexity of every
    domain's held-out text is taken with the neurons of each silenced, beside random neurons of the same layers that are
    active as often.

    Example: codingspot neurons testbed --out runs/neurons

    Example: codingspot neurons testbed-routed --out runs/routed --compare runs/neurons

    Example: codingspot neurons my-model --corpus corpora/github --size 400
    """

    token_budget: Count = Field(8192, description="tokens a domain")
    sequence_length: Count = Field(256, gt=1, description="tokens a sequence")
    size: float = Field(0.01, gt=0, description="neurons: a share of all below 1, a number from 1 on")
    selection: Selection = Field("per-language", description="whose neurons are silenced; both are listed")
    quantile: float = Field(0.95, gt=0, lt=1, description="of all activation probabilities: threshold and bar")
    exclusive: bool = Field(False, description="only neurons specific to one domain")
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.9, 0.95, 0.99), description="compared in the sweep"
    )
    parts: Count = Field(4, description="amounts of text compared in the sweep")
    control_seeds: tuple[Seed, ...] = Field(
        (0, 1, 2, 3, 4),
        description="of the matched random neurons, one draw a domain; empty: none",
        json_schema_extra={"none": "--no-controls"},
    )
    tasks: tuple[Name, ...] = Field((), description="run under each edit, such as testbed_humaneval")
    limit: Count | None = Field(None, description="first items of each task; all by default")
    seed: Seed = Field(0, description="of the texts and their order")
