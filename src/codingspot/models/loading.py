"""Loading a causal language model with its tokenizer, from the Hub or a local folder."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from codingspot.errors import ModelError
from codingspot.models.finding import FoundModel, build, find_model, first_line, torch_dtype
from codingspot.models.gguf import GgufFile
from codingspot.models.layout import fingerprint
from codingspot.tokenization import BOS_POLICIES, BosPolicy, bos_policy, with_bos

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BUFFERS = re.compile(r"\.(?:attn|attention)\.(?:masked_)?bias$|\.rotary_emb\.|\.position_ids$")
"""Constants that older versions of the library saved among the weights, and that no model reads any more."""

DeviceMap = str | dict[str, Any]


@dataclass
class LoadedModel:
    """A model in evaluation mode, its tokenizer, and where both came from.

    ``gguf`` is the file of weights that were dequantised to be read; None where they are as they were saved.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    id: str
    revision: str | None = None
    gguf: GgufFile | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights (:func:`codingspot.models.fingerprint`), taken when first read and kept."""
        return fingerprint(self.model)

    @property
    def bos(self) -> BosPolicy:
        """What stands before a text, wherever the model reads one."""
        return bos_policy(self.tokenizer)

    @property
    def weights(self) -> str | None:
        """How the weights were read, where not as they were saved: ``GGUF (Q4_K, F32), dequantised to float32``."""
        if self.gguf is None:
            return None
        return f"{self.gguf.description}, dequantised to {str(self.model.dtype).removeprefix('torch.')}"

    @property
    def record(self) -> dict[str, Any]:
        """What artefacts say of the model: ``id``, ``revision``, ``fingerprint``, and ``weights`` where not None."""
        found: dict[str, Any] = {"id": self.id, "revision": self.revision, "fingerprint": self.fingerprint}
        return found if self.weights is None else {**found, "weights": self.weights}

    @property
    def folder(self) -> Path | None:
        """Where the weights were read from, if that is a local folder or a GGUF file."""
        if self.gguf is not None:
            return self.gguf.path
        name = self.model.name_or_path
        return Path(name) if name and (Path(name) / "config.json").is_file() else None

    @property
    def vocabulary(self) -> int:
        """How many tokens the model knows."""
        return int(self.model.config.get_text_config().vocab_size)

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
    bos: str = "tokenizer",
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load a causal language model and its tokenizer.

    ``id_or_path`` is a Hub id (``org/name`` or ``org/name@revision``), a folder, a GGUF file (or a folder that holds
    one, and no safetensors), or a model that ships with the package (:mod:`codingspot.models.shipped`). ``dtype`` is
    ``float32``, ``bfloat16``, ``float16`` or ``auto`` (as saved; float32 of what is quantised). ``device`` defaults to
    the GPU where there is one; ``device_map`` (``auto``, ``balanced``, ``sequential``, or modules to devices; needs
    accelerate) spreads the model over several instead. ``attention`` names the implementation (``eager``, ``sdpa``,
    ``flash_attention_2``, ...), by default the library's own choice. Weights are read from safetensors files, or from
    a GGUF file and dequantised. ``bos`` is what stands before a text wherever this model reads one
    (:data:`codingspot.tokenization.BosPolicy`). Where the Hub can't be reached, what was downloaded before is used.

    Raises:
        ModelError: the device can't be used (:func:`usable_device`), nothing is found there, it is not a causal
            language model, its weights are quantised, not in safetensors, or not those of the architecture, all of them
            and no others, or don't fit on the GPUs of a device map; its tokenizer is missing, has tokens that the
            model has no embedding of, or no beginning-of-text token where ``bos`` asks for it.
    """
    if bos not in BOS_POLICIES:
        raise ModelError(f"unknown bos {bos!r}; use one of {', '.join(BOS_POLICIES)}")
    if device is not None and device_map is not None:
        raise ModelError("device and device_map are both given; give one")
    weights_dtype = torch_dtype(dtype)
    place = usable_device(device) if device_map is None else None
    found = find_model(id_or_path, revision=revision, trust_remote_code=trust_remote_code)
    tokenizer = load_tokenizer(found, bos)
    model = load_weights(found, weights_dtype, device_map, attention)
    _require_fitting(found.source, model, tokenizer)
    _require_on_devices(found.source, model)
    if place is not None:
        _move(found.source, model, place)
    model.train(False)
    return LoadedModel(model, tokenizer, found.id, found.commit, found.gguf)


def usable_device(device: str | torch.device | None = None) -> torch.device:
    """The device of that name; the GPU where none is named and there is one, or else the CPU.

    Raises:
        ModelError: there is no such device, this machine hasn't got it, or it holds no values.
    """
    try:
        found = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=found).tolist()
    except (RuntimeError, AssertionError, ImportError) as error:  # whichever the missing device raises
        raise ModelError(
            f"device {str(device)!r} can't be used here ({first_line(error)}); use cpu, or cuda where there is a GPU"
        ) from None
    return found


def load_weights(
    found: FoundModel, dtype: Any, device_map: DeviceMap | None, attention: str | None, offload: Path | None = None
) -> PreTrainedModel:
    """The model that was found, with its weights; what its files don't hold as it reads it and stays on disk, in
    ``offload``.

    Raises:
        ModelError: they are not those of the architecture, all of them and no others, or can't be put there.
    """
    from transformers import AutoModelForCausalLM, GgufConfig

    loader: Any = AutoModelForCausalLM
    options = {**found.options, **({} if attention is None else {"attn_implementation": attention})}
    if found.gguf is not None:
        options["quantization_config"] = GgufConfig(dequantize=True)
    model: PreTrainedModel
    try:
        with quiet(bars=found.local):
            model, info = loader.from_pretrained(
                found.place,
                dtype=dtype,
                device_map=device_map,
                offload_folder=offload,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # they are refused below, by name
                output_loading_info=True,
                **options,
            )
    except Exception as error:  # whatever a model's own code may raise at its files
        build(found)  # which says so where the configuration is at fault, not the weights
        raise ModelError(_why_not_loaded(found, error, device_map, attention)) from None
    mismatched = sorted(info["mismatched_keys"])
    if mismatched:
        name, saved, expected = mismatched[0]
        raise ModelError(
            f"{found.source} has {len(mismatched)} weights of another shape than its {found.written} says, such as "
            f"{name}: {list(saved)}, not {list(expected)}; correct it, or give the checkpoint it belongs to"
        )
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"{found.source} lacks {len(missing)} weights of {type(model).__name__}, such as {missing[0]}, which "
            "would be random; give a complete checkpoint"
        )
    unexpected = sorted(name for name in info["unexpected_keys"] if not _BUFFERS.search(name))
    if unexpected:
        raise ModelError(
            f"{found.source} has {len(unexpected)} weights that a {type(model).__name__} by its {found.written} has no "
            f"place for, such as {unexpected[0]}; correct {found.written}, or give the checkpoint it belongs to"
        )
    return model


def _why_not_loaded(found: FoundModel, error: Exception, device_map: DeviceMap | None, attention: str | None) -> str:
    source, reason, text = found.source, first_line(error), str(error).lower()
    if attention is not None and ("attn" in text or "attention" in text):
        return f"{source} can't use attention implementation {attention!r} ({reason}); use eager or sdpa"
    if device_map is not None and ("device" in text or "accelerate" in text or "offload" in text):
        return f"{source} can't be put on device map {device_map!r} ({reason}); use auto, or device for a single one"
    if found.gguf is not None:
        return f"the weights of {source} can't be loaded ({reason}); give the model's safetensors checkpoint"
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


def _move(source: str, model: PreTrainedModel, device: torch.device) -> None:
    anywhere: Any = model
    try:
        anywhere.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"{source} can't be put on device {str(device)!r} ({first_line(error)})") from None


@contextmanager
def quiet(*, bars: bool) -> Iterator[None]:
    """Keep transformers from reporting on weights that are read or saved, and from drawing ``bars`` of its own."""
    from transformers.utils import logging

    library: Any = logging  # its functions for this have no types
    shown, verbosity = library.is_progress_bar_enabled(), library.get_verbosity()
    library.set_verbosity(library.CRITICAL)
    if bars:
        library.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()) if bars else nullcontext():
            yield
    finally:
        library.set_verbosity(verbosity)
        if shown:
            library.enable_progress_bar()


def load_tokenizer(found: FoundModel, bos: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model that was found, under a policy of what stands before a text.

    Raises:
        ModelError: there is none that can be loaded, or it has no beginning-of-text token where ``bos`` asks for it.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(found.place, **found.options)
    except Exception as error:  # files of another form than expected make the tokenizers' code raise anything
        raise ModelError(
            f"the tokenizer of {found.source} can't be loaded ({first_line(error)}); save it beside the weights"
        ) from None
    try:
        return with_bos(tokenizer, bos)
    except ValueError as error:
        raise ModelError(f"{found.source} can't be read with bos {bos!r}: {error}") from None


def _require_fitting(source: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer without tokens, or with one whose number is beyond the model's embeddings."""
    vocabulary = tokenizer.get_vocab()
    if not vocabulary:
        raise ModelError(f"the tokenizer of {source} has no tokens; save the model's own beside the weights")
    token = max(vocabulary, key=lambda each: vocabulary[each])
    rows = getattr(model.get_input_embeddings(), "num_embeddings", None)
    if rows is not None and vocabulary[token] >= rows:
        raise ModelError(
            f"the tokenizer of {source} has token {token!r} with number {vocabulary[token]}, and the model embeds "
            f"{rows}; save the model's own tokenizer beside the weights, or resize its embeddings"
        )
