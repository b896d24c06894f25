"""A method of the benchmark: weights that even the language which needs them least needs."""

import torch

from codingspot.bench import METHODS, BenchInput, MethodTraits
from codingspot.importance import DEFAULT_ESTIMATOR


@METHODS.register("least_language", traits=MethodTraits(variants=({"estimator": "fisher"},)))
def least_language(bench: BenchInput, *, estimator: str = DEFAULT_ESTIMATOR) -> torch.Tensor:
    """The least of the languages' scores of a weight."""
    store = bench.scores(estimator)
    keys = torch.zeros(store.layout.total)
    for name, size in store.layout.sizes.items():
        languages = [store.magnitude(language, name, 0, size) for language in store.names("code")]
        keys[store.layout.slice(name)] = torch.stack(languages).amin(0)
    return keys
