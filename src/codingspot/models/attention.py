"""The attention probabilities of a model's layers, seen during forward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor, nn

from codingspot.errors import ModelError

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

AttentionObserver = Callable[[str, Float[Tensor, "rows heads queries keys"]], None]
"""Called with the name of an output projection and the probabilities of its heads, layer after layer. They are part of
the graph that gradients are taken of, where there is one."""


@contextmanager
def observed_attention(model: PreTrainedModel, names: Iterable[str], observer: AttentionObserver) -> Iterator[None]:
    """Inside the block, ``observer`` is called with the probabilities of the heads before each named projection.

    Only one layer's probabilities are held for it, beside those that the graph keeps for a backward pass.

    Raises:
        ModelError: inside the block, a layer whose attention gives no probabilities is run.
    """
    with eager_attention(model), ExitStack() as stack:
        for name in names:
            home = name.rpartition(".")[0].rpartition(".")[0]
            stack.callback(model.get_submodule(home).register_forward_hook(_hook(name, home, observer)).remove)
        yield


@contextmanager
def eager_attention(model: PreTrainedModel) -> Iterator[None]:
    """Compute attention by the model's own code, which has probabilities, not by a fused kernel.

    At the end the implementation of every part of the model is what it was.
    """
    from transformers import PreTrainedModel

    # By hand: of some models, such as Falcon, set_attn_implementation changes nothing, though their code asks for it.
    configs = {id(each.config): each.config for each in model.modules() if isinstance(each, PreTrainedModel)}
    before = {key: config._attn_implementation_internal for key, config in configs.items()}
    try:
        for config in configs.values():
            config._attn_implementation_internal = "eager"
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation_internal = before[key]


def _hook(name: str, home: str, observer: AttentionObserver) -> Callable[[nn.Module, Any, Any], None]:
    def see(_module: nn.Module, _arguments: Any, output: Any) -> None:
        found = output[1] if isinstance(output, tuple) and len(output) > 1 else None
        if not isinstance(found, Tensor) or found.dim() != 4:
            raise ModelError(
                f"{home} gives no attention probabilities; load the model with eager attention (attention: eager), or "
                "score units by their activations"
            )
        observer(name, found)

    return see
