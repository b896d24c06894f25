"""The settings of every export: the options of its command, and its help."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Literal

from pydantic import Field, field_validator

from codingspot.export.export import EXPORTS, ExportTraits, SpotSettings, Write
from codingspot.settings import Count, Dose, InputPath, NotEmpty, Seed, Settings


def _by(module: str) -> Callable[[], Write]:
    """Loads the function ``write`` of a module of this package."""

    def load() -> Write:
        found: Write = import_module(f"{__package__}.{module}").write
        return found

    return load


class Pushed(Settings):
    """Of an export that the Hub may hold."""

    push: NotEmpty | None = Field(None, description="a repository on the Hugging Face Hub that it is uploaded to, too")
    private: bool = Field(False, description="make the repository private where it is new")

    @field_validator("push")
    @classmethod
    def _may_be_a_repository(cls, name: str | None) -> str | None:
        if name is not None:
            from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

            validate_repo_id(name)
        return name


@EXPORTS.register("model", label="Edited checkpoint", traits=ExportTraits(_by("model"), reads=("spot", "model")))
class ModelExport(SpotSettings, Pushed):
    """Edit a spot of a checkpoint and write the edited checkpoint, one tensor in memory at a time.

    Names, shards and types of the tensors stay as they are. Beside them stand the tokenizer, the configuration, a
    model card, what it was made from, and what undoes it: `codingspot export undo`.

    Example: codingspot export model spot.safetensors testbed --k 0.25 --out runs/edited
    """

    edit: NotEmpty = Field("zero", description="see `codingspot methods edit`")
    set: tuple[NotEmpty, ...] = Field((), description="a parameter of the edit, NAME=VALUE")
    undo: bool = Field(True, description="write what restores the original bit for bit")
    run: InputPath | None = Field(None, description="a run directory that tried the spot, for the card's evidence")


@EXPORTS.register("undo", label="Restored checkpoint", traits=ExportTraits(_by("undo"), reads=("model",)))
class Undo(Settings):
    """Restore the original of an edited checkpoint, bit for bit, from what was written beside it.

    Example: codingspot export undo runs/edited --out runs/restored
    """


@EXPORTS.register("lora", label="LoRA adapters", traits=ExportTraits(_by("lora")))
class LoraExport(SpotSettings):
    """Place LoRA adapters where the spot is dense, under a budget of trainable parameters.

    Writes the configuration that peft reads: modules, their ranks, and scales in proportion to these. The ranks of
    other placements are made of the same budget, to be compared with.

    Example: codingspot export lora spot.safetensors --budget 100000 --out runs/lora
    """

    budget: Count | None = Field(None, description="trainable parameters; by default those of --rank in every module")
    rank: Count = Field(8, description="of every module, where no budget is given")
    placement: Literal["density", "inverse", "uniform"] = Field(
        "density", description="ranks by the spot's share of each module, the other way round, or the same for all"
    )
    top_modules: Count | None = Field(None, description="adapters in so many modules alone, of the highest ranks")
    scope: NotEmpty = Field("blocks", description="modules in it alone; see `codingspot methods scope`")
    alpha: float = Field(2.0, gt=0, le=1e6, description="of lora_alpha over rank, the same for every module")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the adapters' inputs")


@EXPORTS.register("mask", label="Masks", traits=ExportTraits(_by("mask"), writes="file"))
class MaskExport(SpotSettings):
    """Write the spot as boolean masks, one for each tensor that it touches, True where a weight is kept.

    Their names are the tensors': `torch.nn.utils.prune.custom_from_mask` takes them as they are.

    Example: codingspot export mask spot.safetensors --out runs/mask.safetensors
    """

    keep: Literal["rest", "spot"] = Field("rest", description="what masks keep: all but the spot, or the spot alone")
    scope: NotEmpty = Field("all", description="tensors in it alone; see `codingspot methods scope`")


@EXPORTS.register("smaller", label="Smaller checkpoint", traits=ExportTraits(_by("smaller"), reads=("spot", "model")))
class SmallerExport(SpotSettings, Pushed):
    """Cut the neurons or key-value groups of a spot out of a checkpoint: a smaller model that does what zeroing does.

    All layers of a configuration have one width, so as many units go from each as the spot has in the layer where it
    has fewest; its others stay with their weights at zero.

    Example: codingspot export smaller neurons.safetensors testbed --out runs/smaller
    """

    multiple_of: Count = Field(1, description="of the width, which is rounded up to it: such as 64, for fast kernels")


@EXPORTS.register("pruned", label="Pruned checkpoint", traits=ExportTraits(_by("pruned"), reads=("model",)))
class PrunedExport(Pushed):
    """Prune a checkpoint to a sparsity by magnitude or by scores, while it protects a spot, or everything but it.

    The weights of the blocks' matrices that matter least become 0: a share of each output's, or so many of every few
    inputs that stand together, which GPUs compute faster. Scores are those of `codingspot score`, such as with
    `--estimator wanda` or `taylor`, added up over their domains.

    Example: codingspot export pruned testbed --sparsity 0.5 --protect spot.safetensors --out runs/pruned
    """

    sparsity: float | None = Field(None, gt=0, lt=1, description="share of the weights that become 0; 0.5 by default")
    pattern: Literal["unstructured", "2:4", "4:8"] = Field(
        "unstructured", description="how they lie; 2:4 keeps 2 of every 4 inputs that stand together"
    )
    within: Literal["row", "tensor"] = Field(
        "row", description="what weights are compared in: an output's, or a matrix"
    )
    scores: InputPath | None = Field(
        None, description="a score store of this model; by default magnitudes are compared"
    )
    protect: InputPath | None = Field(None, description="a spot whose weights go last")
    protect_rest: bool = Field(False, description="the spot's weights go first instead, all others last")
    scope: NotEmpty = Field("blocks", description="matrices in it alone; see `codingspot methods scope`")


@EXPORTS.register(
    "distilled", label="Distilled checkpoint", traits=ExportTraits(_by("distilled"), reads=("model",), runs=True)
)
class DistilledExport(Pushed):
    """Train a student of fewer layers on a model's outputs, and write it as a checkpoint.

    The student begins with the weights of the layers that it keeps: spread evenly, or where a spot is densest. Its
    loss is the divergence of its next tokens from its teacher's, and that of the text. Losses of every domain are told
    of the teacher and of the student before and after, on text kept from training.

    Example: codingspot export distilled testbed --layers 4 --corpus testbed --out runs/student
    """

    layers: Count = Field(description="that the student has")
    keep: Literal["even", "dense", "sparse"] = Field(
        "even",
        description="the teacher's layers that it keeps: spread evenly, or where the spot is most or least dense",
    )
    spot: InputPath | None = Field(None, description="the spot whose density is meant")
    k: Dose | None = Field(None, description="of the spot, percent of all parameters; the whole of it by default")
    corpora: tuple[NotEmpty, ...] = Field(
        (),
        description="text, as `codingspot score` takes it; all but what it holds out is trained on",
        json_schema_extra={"argument": "--corpus"},
    )
    languages: tuple[NotEmpty, ...] = Field((), description="a programming language that is used")
    held_out: tuple[NotEmpty, ...] = Field((), description="a domain that is not trained on; its loss is told")
    evaluation_documents: Count = Field(48, description="texts a domain kept from training, for losses")
    token_budget: Count = Field(65_536, description="tokens a domain to train on")
    sequence_length: Count = Field(256, description="tokens a sequence")
    steps: Count = Field(200, description="of training")
    sequences: Count = Field(8, description="a step")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="at its highest: it rises, and falls as a cosine")
    temperature: float = Field(2.0, gt=0, le=100, description="of the distributions whose divergence is the loss")
    cross_entropy: float = Field(0.5, ge=0, le=1e6, description="weight of the text's own loss beside it")
    seed: Seed = Field(0, description="of the order of texts and of training")
