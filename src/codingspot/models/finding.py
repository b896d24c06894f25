"""Finding a causal language model, on the Hub or in a local folder, and its configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from codingspot.errors import ModelError
from codingspot.models.gguf import GgufFile, find_gguf
from codingspot.models.plausibility import require_counts, require_plausible
from codingspot.models.shipped import model_source
from codingspot.settings import shown

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

_HUB_TIMEOUT_SECONDS = 5.0
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "auto": "auto"}
"""Types that weights may be loaded in; ``auto`` is the one they were saved in."""


@dataclass(frozen=True)
class FoundModel:
    """Where a causal language model is, and its configuration.

    ``id`` is what a user calls it: the name of a shipped one, whose folder differs between machines, or else
    ``source``, a folder, a GGUF file or a Hub id. ``local`` says whether only files on this machine are read. ``gguf``
    is the file that the weights, the configuration and the tokenizer are in, where they are in one.
    """

    id: str
    source: str
    revision: str | None
    local: bool
    trust_remote_code: bool
    config: Any
    gguf: GgufFile | None = None

    @property
    def written(self) -> str:
        """Where its configuration is written, for messages: its ``config.json``, or a GGUF file's metadata."""
        return "config.json" if self.gguf is None else "metadata"

    @property
    def place(self) -> str:
        """First argument of every ``from_pretrained`` that reads it."""
        return self.source if self.gguf is None else str(self.gguf.path.parent)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of every ``from_pretrained`` that reads it."""
        return {
            "revision": self.revision,
            "trust_remote_code": self.trust_remote_code,
            "local_files_only": self.local,
            **({} if self.gguf is None else {"gguf_file": self.gguf.path.name}),
        }

    @property
    def commit(self) -> str | None:
        """The revision asked for, or the commit that the Hub answered with."""
        return self.revision or getattr(self.config, "_commit_hash", None)


def find_model(id_or_path: str | Path, *, revision: str | None = None, trust_remote_code: bool = False) -> FoundModel:
    """Read the configuration of a shipped model, a Hub id (``org/name`` or ``org/name@revision``), a folder or a GGUF
    file, which a folder may hold instead of safetensors.

    This is the one place where names of models are resolved (:func:`codingspot.models.shipped.model_source`). Where the
    Hub can't be reached, what was downloaded before is used.

    Raises:
        ModelError: nothing is found there, it is not a causal language model, its configuration can't be that of a
            model, or its weights are quantised.
    """
    asked, revision = _split_revision(str(id_or_path), revision)
    source = model_source(asked)
    gguf = find_gguf(source)
    local = gguf is not None or Path(source).is_dir() or not hub_answers()
    found = FoundModel(asked, source, revision, local, trust_remote_code, None, gguf)
    config = _load_config(found)
    require_plausible(source, config)
    _require_causal(source, config)
    _require_unquantised(source, config)
    return replace(found, config=config)


def configured_model(
    id_or_path: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    attention: str | None = None,
    trust_remote_code: bool = False,
    device: str = "meta",
) -> PreTrainedModel:
    """The model of a configuration alone, without weights: by default every tensor is on the meta device.

    Raises:
        ModelError: as :func:`find_model`; or the architecture can't be built.
    """
    found = find_model(id_or_path, revision=revision, trust_remote_code=trust_remote_code)
    return build(found, dtype=dtype, attention=attention, device=device)


def build(
    found: FoundModel, *, dtype: str = "float32", attention: str | None = None, device: str = "meta"
) -> PreTrainedModel:
    """The model of a configuration that was found, without its weights.

    Raises:
        ModelError: the architecture can't be built.
    """
    chosen = (found.config.dtype or torch.float32) if dtype == "auto" else torch_dtype(dtype)
    options = {} if attention is None else {"attn_implementation": attention}
    from transformers import AutoModelForCausalLM

    builder: Any = AutoModelForCausalLM
    try:
        with torch.device(device):
            model: Any = builder.from_config(
                found.config, dtype=chosen, trust_remote_code=found.trust_remote_code, **options
            )
    except Exception as error:  # whatever a model's own code makes of settings it doesn't foresee
        raise ModelError(
            f"{found.source} can't be built from its configuration ({first_line(error)}); correct its {found.written}"
        ) from None
    model.eval()
    built: PreTrainedModel = model
    return built


def torch_dtype(name: str) -> Any:
    """The type of that name, or ``"auto"``.

    Raises:
        ModelError: there is no such type of weights.
    """
    if name not in DTYPES:
        raise ModelError(f"unknown dtype {name!r}; use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type too, where the message alone says little."""
    lines = str(error).strip().splitlines()
    if isinstance(error, LookupError | TypeError | AttributeError | ArithmeticError) or not lines:
        return ": ".join([type(error).__name__, *lines[:1]])
    return lines[0].rstrip(".")


def _split_revision(source: str, revision: str | None) -> tuple[str, str | None]:
    if Path(source).exists() or revision is not None or "@" not in source:
        return source, revision
    name, _, found = source.rpartition("@")
    return name, found


def hub_answers() -> bool:
    """Whether the Hub can be reached, asked once and quickly: its client would retry for half a minute."""
    from huggingface_hub import get_session
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(ENDPOINT, timeout=_HUB_TIMEOUT_SECONDS)
    except Exception:  # the Hub library's HTTP client, and so its errors, differ between its versions
        return False
    return True


def _load_config(found: FoundModel) -> Any:
    from transformers import AutoConfig

    source = found.source
    if found.gguf is not None:
        try:
            return AutoConfig.from_pretrained(found.place, **found.options)
        except Exception as error:  # whatever is made of metadata of a wrong type, or an architecture that isn't known
            raise ModelError(
                f"the configuration in {found.gguf.path} can't be used ({first_line(error)}); convert the model again, "
                "or give its safetensors checkpoint"
            ) from None
    if Path(source).is_dir() and not (Path(source) / "config.json").exists():
        raise ModelError(f"{source} has no config.json; give the folder written by save_pretrained")
    if not Path(source).is_dir() and (source.startswith(("/", ".", "~")) or source.count("/") > 1):
        raise ModelError(f"model folder {source} does not exist; correct the path or give a Hub id")
    try:
        return AutoConfig.from_pretrained(source, **found.options)
    except Exception as error:  # a configuration class may raise anything at settings of a wrong type
        if Path(source).is_dir():
            _require_written_settings(Path(source))  # which names what the class stumbled on
            reason = " ".join(str(error).split())
            raise ModelError(f"config.json of {source} can't be used ({reason[:200]}); correct it") from None
        raise ModelError(
            f"model {source!r} was found neither as a folder nor on the Hugging Face Hub "
            f"({first_line(error)}); correct the id or path, log in if it is gated, or download it first "
            "where there is a network"
        ) from None


def _require_written_settings(folder: Path) -> None:
    try:
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(written, dict):
        raise ModelError(
            f"config.json of {folder} can't be used: it is {shown(written)}, not an object of settings; "
            "save the model's configuration again"
        )
    kind = written.get("model_type")
    if not isinstance(kind, str | None):
        raise ModelError(
            f"config.json of {folder} can't be used: its model_type {shown(kind)} is no text; give the name of an "
            "architecture, such as 'llama'"
        )
    require_counts(str(folder), SimpleNamespace(**written))


def _require_causal(source: str, config: Any) -> None:
    """Refuse masked, encoder-decoder and headless models, some of which would load with a random head."""
    architectures = config.architectures or []
    if "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        return
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    causal = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    known = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if not known or (architectures and not causal.intersection(architectures)):
        kind = ", ".join(architectures) or config.model_type
        raise ModelError(f"{source} is a {kind}, not a causal language model; give one such as LlamaForCausalLM")


def _require_unquantised(source: str, config: Any) -> None:
    settings = getattr(config, "quantization_config", None)
    if settings is None:
        return
    method = settings.get("quant_method") if isinstance(settings, dict) else getattr(settings, "quant_method", None)
    raise ModelError(
        f"{source} is quantised ({getattr(method, 'value', method) or 'method not named'}): such weights have no "
        "gradient and can't be edited in place; give the unquantised checkpoint"
    )
