import pytest
import torch

from codingspot.importance import NewDomainScores, ScoreStore

NAMES = {
    "lm_head.weight": (3, 4),
    "model.embed_tokens.weight": (3, 4),
    "model.layers.0.input_layernorm.weight": (4,),
    "model.layers.0.mlp.up_proj.weight": (4, 4),
    "model.layers.0.self_attn.q_proj.weight": (4, 4),
    "model.norm.weight": (4,),
}
TOTAL = 64


@pytest.fixture
def make_store(tmp_path):
    """Writes a store from flat values over the 64 positions of a small Llama, by domain; English is general."""

    def make(folder: str = "store", tokens: dict[str, int] | None = None, **domains) -> ScoreStore:
        def tensors(values) -> dict[str, torch.Tensor]:
            parts = torch.as_tensor(values, dtype=torch.float32).split([torch.Size(s).numel() for s in NAMES.values()])
            return {name: part.view(shape) for (name, shape), part in zip(NAMES.items(), parts, strict=True)}

        new = [
            NewDomainScores(
                name,
                "general" if name == "English" else "code",
                tensors(values),
                predicted_tokens=(tokens or {}).get(name, 1),
            )
            for name, values in domains.items()
        ]
        return ScoreStore.write(
            tmp_path / folder,
            new,
            provenance={"model": {"id": "m", "revision": None, "fingerprint": "f" * 64}},
            force=True,
        )

    return make


@pytest.fixture
def random_scores():
    def draw(seed: int) -> torch.Tensor:
        return torch.randn(TOTAL, generator=torch.Generator().manual_seed(seed))

    return draw
