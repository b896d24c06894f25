"""A checkpoint on disk, read parameter by parameter: which tensors of its files become which of the model's.

A tensor may be called otherwise than the parameter that it becomes, and several may become one (experts that the model
holds fused), as transformers' own mapping for the architecture says. Tensors that are read together are a
:class:`Group`; a changed parameter is turned back into the tensors that it came from.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from codingspot.errors import ModelError
from codingspot.files import read_json, reason
from codingspot.models import ParameterLayout, load_model
from codingspot.models.finding import FoundModel, build, find_model, first_line
from codingspot.models.layout import fingerprint_as
from codingspot.models.loading import quiet
from codingspot.models.section import ModelSection
from codingspot.spot import Spot
from codingspot.tensor_files import Place, places

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

WEIGHTS, FILES, INDEX = "model.safetensors", "model*.safetensors", "model.safetensors.index.json"
BESIDE = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "chat_template*",
    "additional_chat_templates/*",
    "*.py",
    "LICENSE*",
    "NOTICE*",
)
"""Files that belong to the weights: they are copied as they are."""
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Group:
    """Tensors of the files that together become parameters.

    Attributes:
        target: the parameter, or the first of them.
        sources: name of each tensor to what it is called where ``converter`` takes it, and the pattern that it matches.
        converter: transformers' own, which makes the parameters; None of one tensor that is the parameter.
    """

    target: str
    sources: Mapping[str, tuple[str, str]]
    converter: Any = None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A causal language model's checkpoint of safetensors files.

    Attributes:
        found: how it was named, and its configuration.
        folder: where its files are.
        files: those that hold weights.
        model: the model without its weights.
        commit: of the Hub's repository; None of a folder.
    """

    found: FoundModel
    folder: Path
    files: tuple[str, ...]
    model: PreTrainedModel
    commit: str | None
    _fingerprints: dict[torch.dtype, str] = field(default_factory=dict, init=False)

    @cached_property
    def layout(self) -> ParameterLayout:
        """The order of the model's parameters."""
        return ParameterLayout.of(self.model)

    @cached_property
    def places(self) -> dict[str, tuple[str, Place]]:
        """Every tensor of the files: which one it is in, and where."""
        return {name: (file, place) for file in self.files for name, place in places(self.folder / file).items()}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The tensors that become parameters, by what they become."""
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightConverter, apply_renamings, dot_natural_key, rename_source_key

        mapping: list[Any] = get_model_conversion_mapping(self.model)
        converters = [each for each in mapping if isinstance(each, WeightConverter)]
        renamings = [each for each in mapping if not isinstance(each, WeightConverter)]
        made_by = {pattern: converter for converter in converters for pattern in converter.source_patterns}
        prefix, known = self.model.base_model_prefix, self.model.state_dict()
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for name in sorted(self.places, key=dot_natural_key):
            target, pattern = rename_source_key(name, renamings, converters, prefix, known)
            if pattern is not None or target in self._first_names:  # not a buffer, or what the model doesn't read
                found.setdefault(target, {})[name] = (apply_renamings(name, renamings), pattern or "")
        patterns = {target: next(iter(sources.values()))[1] for target, sources in found.items()}
        return tuple(Group(target, sources, made_by.get(patterns[target])) for target, sources in found.items())

    @cached_property
    def homes(self) -> dict[str, list[Group]]:
        """For every parameter the groups it is in: several where tied tensors are saved each for itself."""
        found: dict[str, list[Group]] = {name: [] for name in self.layout.names}
        for group in self.groups:
            names = [group.target]
            if group.converter is not None:
                shapes = {name: torch.empty(self.places[name][1].shape, device="meta") for name in group.sources}
                names = list(self._converted(group, shapes))
            for name in names:
                if name in self._first_names:
                    found[self._first_names[name]].append(group)
        absent = [name for name, groups in found.items() if not groups]
        if absent:
            raise ModelError(f"{self.found.source} has no tensor for {absent[0]}; give a checkpoint with all weights")
        return found

    def read(self, name: str) -> Tensor:
        """One tensor of the files."""
        with safe_open(self.folder / self.places[name][0], framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor

    def parameters(self, group: Group) -> dict[str, Tensor]:
        """The parameters that a group becomes, by the names that the model first lists them under."""
        made = self._converted(group, {name: self.read(name) for name in group.sources})
        return {self._first_names[name]: tensor for name, tensor in made.items() if name in self._first_names}

    def sources(self, group: Group, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of the files that become these parameters, which are all of the group's.

        Raises:
            ModelError: what fuses them can't be turned back.
        """
        if group.converter is None:
            return dict.fromkeys(group.sources, parameters[self._first_names[group.target]])
        from transformers.core_model_loading import apply_converters

        back = group.converter.reverse_transform()
        renamed = [(name, *apply_converters(name, [back])) for name in parameters]
        for name, target, pattern in renamed:
            back.add_tensor(target, name, pattern, parameters[name])
        made = back.convert(renamed[0][1], self.model, self.model.config)
        prefix = f"{self.model.base_model_prefix}."
        made = {name.removeprefix(prefix): _single(tensor) for name, tensor in made.items()}
        try:
            return {name: made[inner.removeprefix(prefix)] for name, (inner, _) in group.sources.items()}
        except KeyError:
            raise ModelError(
                f"{group.target} can't be divided into the tensors that {self.found.source} has of it; edit it in place"
            ) from None

    def check_spot(self, spot: Spot) -> None:
        """Make sure that the spot was found in these weights, whatever type they were loaded as.

        Raises:
            FingerprintError: it was found in others.
            ModelError: it is of a model with other parameters.
        """
        if spot.layout != self.layout:
            raise ModelError(
                f"the spot is of a model with other parameters than {self.found.id}; give the one that it was found in"
            )
        if spot.fingerprint is not None and not self.has(spot.fingerprint):
            spot.check_model(self._fingerprint(torch.float32))

    def has(self, fingerprint: str) -> bool:
        """Whether that is the fingerprint of these weights, loaded as one of the types that they may be."""
        return any(self._fingerprint(dtype) == fingerprint for dtype in _DTYPES)

    def _fingerprint(self, dtype: torch.dtype) -> str:
        """As :func:`codingspot.models.fingerprint` takes it of the weights loaded as a type; taken once."""
        if dtype not in self._fingerprints:
            kept = self._kept(dtype)
            self._fingerprints[dtype] = fingerprint_as(
                (name, tensor, torch.float32 if kept.search(name) else dtype) for name, tensor in self._parameters()
            )
        return self._fingerprints[dtype]

    def _parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The model's parameters, sorted by name, one group of them in memory at a time."""
        group, made = None, dict[str, Tensor]()
        for name, (first, *_) in self.homes.items():
            if first is not group:
                group, made = first, self.parameters(first)
            yield name, made[name]

    def _kept(self, dtype: torch.dtype) -> re.Pattern[str]:
        """Names of the parameters that stay in float32 whatever the others are loaded as."""
        kept = list(self.model._get_dtype_plan(dtype))
        return re.compile("|".join(re.escape(name).replace(r"\*", ".*") for name in kept) if kept else "(?!)")

    @cached_property
    def _first_names(self) -> dict[str, str]:
        """For every name of a parameter, tied ones' others too, the one that the model lists first."""
        first: dict[int, str] = {}
        every = self.model.named_parameters(remove_duplicate=False)
        return {name: first.setdefault(id(parameter), name) for name, parameter in every}

    def _converted(self, group: Group, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if group.converter is None:
            return {group.target: next(iter(tensors.values()))}
        converter = deepcopy(group.converter)
        for name, (_, pattern) in group.sources.items():
            converter.add_tensor(group.target, name, pattern, tensors[name])
        made = converter.convert(group.target, self.model, self.model.config)
        return {name: _single(tensor) for name, tensor in made.items()}


def _single(tensor: Any) -> Tensor:
    found: Tensor = tensor[0] if isinstance(tensor, list) else tensor
    return found


@contextmanager
def open_checkpoint(model: ModelSection | str | Path) -> Iterator[Checkpoint]:
    """The checkpoint of a Hub id, a folder, a GGUF file or a shipped model.

    What isn't on this machine is downloaded into the Hub's own cache; a GGUF file is dequantised to float32, in memory,
    and saved as a checkpoint for as long as the block lasts.

    Raises:
        ModelError: nothing is found there, or it is not a causal language model in safetensors files.
    """
    section = model if isinstance(model, ModelSection) else ModelSection(id=str(model))
    found = find_model(section.id, revision=section.revision, trust_remote_code=section.trust_remote_code)
    with tempfile.TemporaryDirectory() as made:
        folder, commit = Path(found.source), None
        if found.gguf is not None:
            folder = Path(made)
            loaded = load_model(section.id, device="cpu")
            with quiet(bars=True):
                loaded.model.save_pretrained(folder)
            loaded.tokenizer.save_pretrained(folder)
        elif not folder.is_dir():
            folder = downloaded(found, (FILES, INDEX, *BESIDE))
            commit = folder.name  # of a snapshot in the Hub's cache
        yield Checkpoint(found, folder, _weight_files(folder), build(found, dtype="auto"), commit)


def downloaded(found: FoundModel, patterns: Sequence[str]) -> Path:
    """The files of a model on the Hub that match patterns, in the Hub's cache.

    Raises:
        ModelError: they can't be downloaded.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                found.source,
                revision=found.commit,
                allow_patterns=list(patterns),
                local_files_only=found.local,
            )
        )
    except Exception as error:  # the Hub library's errors differ between its versions
        raise ModelError(
            f"{found.source} can't be downloaded ({first_line(error)}); download it where there is a network"
        ) from None


def _weight_files(folder: Path) -> tuple[str, ...]:
    """The safetensors files of a checkpoint, each whole.

    Raises:
        ModelError: there are none, or one is missing, truncated or corrupt.
    """
    files = (WEIGHTS,)
    if not (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        index = read_json(folder / INDEX)
        named = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(named, dict) or not all(_is_name(file) for file in named.values()):
            raise ModelError(f"{folder / INDEX} does not say which file each tensor is in; save the checkpoint again")
        files = tuple(sorted(set(named.values())))
    require_whole(folder, files)
    return files


def require_whole(folder: Path, files: Iterable[str]) -> None:
    """Make sure that these safetensors files are there, each whole.

    Raises:
        ModelError: one is missing, truncated or corrupt.
    """
    for file in files:
        try:
            with safe_open(folder / file, framework="pt"):
                pass
        except FileNotFoundError:
            raise ModelError(f"{folder} has no {file}; give a checkpoint whose weights are in safetensors") from None
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{folder / file} is truncated or corrupt ({reason(error)}); download it again") from None


def _is_name(file: Any) -> bool:
    return isinstance(file, str) and file == Path(file).name and file.endswith(".safetensors")


def copy_beside(folder: Path, target: Path) -> None:
    """Copy the files that belong to a checkpoint's weights as they are, but those that ``target`` has already."""
    for pattern in BESIDE:
        for file in sorted(folder.glob(pattern)):
            name = file.relative_to(folder)
            if file.is_file() and not (target / name).exists():
                (target / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(file, target / name)
