"""Language-specific MLP neurons by the entropy of their activations (LAPE), and what silencing them does."""

from codingspot.neurons.ablation import diagonal_and_rest, matched_neurons, perplexity_ratios, silenced
from codingspot.neurons.analysis import NeuronAnalysis, NeuronSettings, analyse_neurons, neuron_inputs, saved_neurons
from codingspot.neurons.counting import ActivationCounts, count_activations
from codingspot.neurons.selection import SELECTIONS, Selection, bar, entropy, exclusive_only, select
from codingspot.neurons.sites import NeuronLayout, Site, find_sites, observed
from codingspot.neurons.summary import compare, differing_inputs, domain_summary, records, summary, sweep_summary
from codingspot.neurons.tables import layer_histogram, neuron_list, sharing, sweep

__all__ = [
    "SELECTIONS",
    "ActivationCounts",
    "NeuronAnalysis",
    "NeuronLayout",
    "NeuronSettings",
    "Selection",
    "Site",
    "analyse_neurons",
    "bar",
    "compare",
    "count_activations",
    "diagonal_and_rest",
    "differing_inputs",
    "domain_summary",
    "entropy",
    "exclusive_only",
    "find_sites",
    "layer_histogram",
    "matched_neurons",
    "neuron_inputs",
    "neuron_list",
    "observed",
    "perplexity_ratios",
    "records",
    "saved_neurons",
    "select",
    "sharing",
    "silenced",
    "summary",
    "sweep",
    "sweep_summary",
]
