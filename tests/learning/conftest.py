import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot.corpus import PackedTokens
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.learning import Learner, LearnSettings, domain_losses
from codingspot.models import LoadedModel, unique_parameters

KINDS = {"go": "code", "java": "code", "rust": "code", "english": "general", "stories": "general"}


def texts(low: int, high: int, seed: int) -> PackedTokens:
    ids = torch.randint(low, high, (12, 8), generator=torch.Generator().manual_seed(seed))
    return PackedTokens("x", ids, documents=12, duplicates=0)


@pytest.fixture
def loaded() -> LoadedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=24, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4
    )
    return LoadedModel(LlamaForCausalLM(config).eval(), None, "tiny")  # type: ignore[arg-type]


@pytest.fixture
def learner(loaded, tmp_path) -> Learner:
    """Five domains with random scores: masks of no meaning, learned in a moment."""
    shapes = {name: weight.shape for name, weight in unique_parameters(loaded.model).items()}

    def domain(seed: int, name: str) -> NewDomainScores:
        generator = torch.Generator().manual_seed(seed)
        scores = {tensor: torch.randn(shape, generator=generator) for tensor, shape in shapes.items()}
        return NewDomainScores(name, KINDS[name], scores)  # type: ignore[arg-type]

    store = ScoreStore.write(
        tmp_path / "scores",
        [domain(seed, name) for seed, name in enumerate(KINDS)],
        provenance={"model": {"id": "tiny", "fingerprint": loaded.fingerprint}},
    )
    code = {name: texts(0, 12, seed) for seed, name in enumerate(("go", "java", "rust"))}
    general = {name: texts(12, 24, 10 + seed) for seed, name in enumerate(("english", "stories"))}
    measure = domain_losses(loaded, {"go": texts(0, 12, 20), "rust": texts(0, 12, 22), "english": texts(12, 24, 21)})
    settings = LearnSettings(doses=(1.0, 3.0), steps=4, sequences=2, validation_sequences=2, validate_every=2)
    return Learner(loaded, store, {**code, **general}, measure, settings, shortlist_percent=6.0)
