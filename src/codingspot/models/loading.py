"""Loading a causal language model with its tokenizer, from the Hub or a local folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from codingspot.errors import ModelError
from codingspot.models.finding import FoundModel, find_model, first_line, torch_dtype
from codingspot.models.layout import fingerprint

DeviceMap = str | dict[str, Any]


@dataclass
class LoadedModel:
    """A model in evaluation mode, its tokenizer, and where both came from."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    id: str
    revision: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights (:func:`codingspot.models.fingerprint`), taken when first read and kept."""
        return fingerprint(self.model)

    @property
    def folder(self) -> Path | None:
        """Where the weights were read from, if that is a local folder."""
        name = self.model.name_or_path
        return Path(name) if name and (Path(name) / "config.json").is_file() else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device


def load_model(
    id_or_path: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    device: str | torch.device | None = None,
    device_map: DeviceMap | None = None,
    attention: str | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load a causal language model and its tokenizer.

    ``id_or_path`` is a Hub id (``org/name`` or ``org/name@revision``) or a folder. ``dtype`` is ``float32``,
    ``bfloat16``, ``float16`` or ``auto`` (as saved). ``device`` defaults to the GPU where there is one; ``device_map``
    (``auto``, ``balanced``, ``sequential``, or modules to devices; needs accelerate) spreads the model over several
    instead. ``attention`` names the implementation (``eager``, ``sdpa``, ``flash_attention_2``, ...), by default the
    library's own choice. Weights are read from safetensors files only. Where the Hub can't be reached, what was
    downloaded before is used.

    Raises:
        ModelError: nothing is found there, it is not a causal language model, its weights are quantised, not in
            safetensors or do not cover the architecture, don't fit on the GPUs of a device map, or its tokenizer is
            missing.
    """
    if device is not None and device_map is not None:
        raise ModelError("device and device_map are both given; give one")
    weights_dtype = torch_dtype(dtype)
    found = find_model(id_or_path, revision=revision, trust_remote_code=trust_remote_code)
    with _no_progress_bar() if found.local else nullcontext():
        model = _load_weights(found, weights_dtype, device_map, attention)
    tokenizer = _load_tokenizer(found)
    _require_on_devices(found.source, model)
    if device_map is None:
        _move(found.source, model, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model.train(False)
    return LoadedModel(model, tokenizer, found.source, found.commit)


def _load_weights(
    found: FoundModel, dtype: Any, device_map: DeviceMap | None, attention: str | None
) -> PreTrainedModel:
    loader: Any = AutoModelForCausalLM
    options = {**found.options, **({} if attention is None else {"attn_implementation": attention})}
    model: PreTrainedModel
    try:
        model, info = loader.from_pretrained(
            found.source,
            dtype=dtype,
            device_map=device_map,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError, HfHubHTTPError) as error:
        raise ModelError(_why_not_loaded(found.source, error, device_map, attention)) from None
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"{found.source} lacks {len(missing)} weights of {type(model).__name__}, such as {missing[0]}, which "
            "would be random; give a complete checkpoint"
        )
    return model


def _why_not_loaded(source: str, error: Exception, device_map: DeviceMap | None, attention: str | None) -> str:
    reason, text = first_line(error), str(error).lower()
    if attention is not None and ("attn" in text or "attention" in text):
        return f"{source} can't use attention implementation {attention!r} ({reason}); use eager or sdpa"
    if device_map is not None and ("device" in text or "accelerate" in text or "offload" in text):
        return f"{source} can't be put on device map {device_map!r} ({reason}); use auto, or device for a single one"
    return (
        f"the weights of {source} can't be loaded ({reason}); it needs complete safetensors files, as save_pretrained "
        "writes them"
    )


def _require_on_devices(source: str, model: PreTrainedModel) -> None:
    """Refuse weights that are only brought to a GPU while they are used: their gradients would land on copies."""
    placed = {str(device) for device in (getattr(model, "hf_device_map", None) or {}).values()}
    on_meta = [name for name, parameter in model.named_parameters() if parameter.device.type == "meta"]
    if "disk" in placed or on_meta or ("cpu" in placed and len(placed) > 1):
        where = "the disk" if "disk" in placed or on_meta else "the CPU"
        raise ModelError(
            f"part of {source} would be offloaded to {where}, where weights have no lasting gradient and can't be "
            "edited; use more or larger GPUs, dtype bfloat16, or device cpu for all of it"
        )


def _move(source: str, model: PreTrainedModel, device: str | torch.device) -> None:
    anywhere: Any = model
    try:
        anywhere.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"{source} can't be put on device {device!r} ({first_line(error)})") from None


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing a bar while files on this machine are read; downloads keep theirs."""
    bars: Any = logging  # its functions for this have no types
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def _load_tokenizer(found: FoundModel) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(found.source, **found.options)
    except (OSError, ValueError, ImportError, HfHubHTTPError) as error:
        raise ModelError(
            f"the tokenizer of {found.source} can't be loaded ({first_line(error)}); save it beside the weights"
        ) from None
