"""Loading a causal language model with its tokenizer, from the Hub or a local folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import get_session
from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from codingspot.errors import ModelError
from codingspot.models.layout import fingerprint

_HUB_TIMEOUT_SECONDS = 5.0
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "auto": "auto"}


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
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device


def load_model(
    id_or_path: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    device: str | torch.device | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load a causal language model and its tokenizer.

    ``id_or_path`` is a Hub id (``org/name`` or ``org/name@revision``) or a folder. ``dtype`` is
    ``float32``, ``bfloat16``, ``float16`` or ``auto`` (as saved). ``device`` defaults to the GPU where
    there is one. Weights are read from safetensors files only. Where the Hub can't be reached, what was
    downloaded before is used.

    Raises:
        ModelError: nothing is found there, it is not a causal language model, its weights are not in
            safetensors or do not cover the architecture, or its tokenizer is missing.
    """
    if dtype not in _DTYPES:
        raise ModelError(f"unknown dtype {dtype!r}; use one of {', '.join(_DTYPES)}")
    source, revision = _split_revision(str(id_or_path), revision)
    options: dict[str, Any] = {
        "revision": revision,
        "trust_remote_code": trust_remote_code,
        "local_files_only": Path(source).is_dir() or not _hub_answers(),
    }
    config = _load_config(source, options)
    _require_causal(source, config)
    with _no_progress_bar() if options["local_files_only"] else nullcontext():
        model: Any = _load_weights(source, _DTYPES[dtype], options)
    tokenizer = _load_tokenizer(source, options)
    target = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        model.to(target).eval()
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"{source} can't be put on device {target!r} ({_first_line(error)})") from None
    return LoadedModel(model, tokenizer, source, revision or getattr(config, "_commit_hash", None))


def _split_revision(source: str, revision: str | None) -> tuple[str, str | None]:
    if Path(source).exists() or revision is not None or "@" not in source:
        return source, revision
    name, _, found = source.rpartition("@")
    return name, found


def _hub_answers() -> bool:
    """Whether the Hub can be reached, asked once and quickly: its client would retry for half a minute."""
    if HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(ENDPOINT, timeout=_HUB_TIMEOUT_SECONDS)
    except Exception:  # the Hub library's HTTP client, and so its errors, differ between its versions
        return False
    return True


def _load_config(source: str, options: dict[str, Any]) -> Any:
    if Path(source).is_dir() and not (Path(source) / "config.json").exists():
        raise ModelError(f"{source} has no config.json; give the folder written by save_pretrained")
    if not Path(source).is_dir() and (source.startswith(("/", ".", "~")) or source.count("/") > 1):
        raise ModelError(f"model folder {source} does not exist; correct the path or give a Hub id")
    try:
        return AutoConfig.from_pretrained(source, **options)
    except (OSError, ValueError, HFValidationError, HfHubHTTPError) as error:
        raise ModelError(
            f"model {source!r} was found neither as a folder nor on the Hugging Face Hub "
            f"({_first_line(error)}); correct the id or path, log in if it is gated, or download it first "
            "where there is a network"
        ) from None


def _require_causal(source: str, config: Any) -> None:
    """Refuse masked, encoder-decoder and headless models, some of which would load with a random head."""
    architectures = config.architectures or []
    if "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        return
    causal = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    known = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if not known or (architectures and not causal.intersection(architectures)):
        kind = ", ".join(architectures) or config.model_type
        raise ModelError(f"{source} is a {kind}, not a causal language model; give one such as LlamaForCausalLM")


def _load_weights(source: str, dtype: Any, options: dict[str, Any]) -> PreTrainedModel:
    loader: Any = AutoModelForCausalLM
    model: PreTrainedModel
    try:
        model, info = loader.from_pretrained(
            source, dtype=dtype, use_safetensors=True, output_loading_info=True, **options
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError, HfHubHTTPError) as error:
        raise ModelError(
            f"the weights of {source} can't be loaded ({_first_line(error)}); it needs complete safetensors "
            "files, as save_pretrained writes them"
        ) from None
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"{source} lacks {len(missing)} weights of {type(model).__name__}, such as {missing[0]}, which "
            "would be random; give a complete checkpoint"
        )
    return model


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


def _load_tokenizer(source: str, options: dict[str, Any]) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(source, **options)
    except (OSError, ValueError, ImportError, HfHubHTTPError) as error:
        raise ModelError(
            f"the tokenizer of {source} can't be loaded ({_first_line(error)}); save it beside the weights"
        ) from None


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
