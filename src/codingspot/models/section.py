"""How a model is named and loaded: a study's section, and the options of every command that takes a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from codingspot.models.shipped import TESTBED
from codingspot.settings import NotEmpty, Settings
from codingspot.tokenization import BosPolicy

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from codingspot.models.finding import FoundModel
    from codingspot.models.loading import LoadedModel


class ModelSection(Settings):
    """Which model: a Hub id, a local folder, or one that ships with the package, such as ``testbed``."""

    id: NotEmpty = Field(
        TESTBED,
        description="a Hub id, a folder, a GGUF file, or a shipped model's name",
        json_schema_extra={"argument": "model"},
    )
    revision: NotEmpty | None = Field(None, description="of a Hub id: a branch, tag or commit")
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = Field("float32", description="of the weights in memory")
    device: NotEmpty | None = Field(None, description="where it runs, such as cpu or cuda")
    device_map: NotEmpty | None = Field(None, description="over several GPUs: auto, balanced or sequential")
    attention: NotEmpty | None = Field(None, description="its implementation: such as eager, sdpa or flash_attention_2")
    bos: BosPolicy = Field("tokenizer", description="what stands before a text, wherever the model reads one")
    trust_remote_code: bool = Field(False, description="run code that comes with the model")

    def find(self) -> FoundModel:
        """Where the model is, and its configuration.

        Raises:
            ModelError: as :func:`codingspot.models.find_model`.
        """
        from codingspot.models.finding import find_model

        return find_model(self.id, revision=self.revision, trust_remote_code=self.trust_remote_code)

    def load_tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's tokenizer alone.

        Raises:
            ModelError: it can't be loaded, or the model isn't found.
        """
        from codingspot.models.loading import load_tokenizer

        return load_tokenizer(self.find(), self.bos)

    def load(self) -> LoadedModel:
        """The model.

        Raises:
            ModelError: it can't be loaded.
        """
        from codingspot.models.loading import load_model

        given = {name: value for name, value in self if name != "id"}
        return load_model(self.id, **given)
