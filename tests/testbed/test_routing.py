"""Gradient routing: which weights each half of a batch may move."""

import copy
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from codingspot.errors import ArtefactError, ModelError
from codingspot.models import load_model
from codingspot.testbed.recipe import Phase, Recipe
from codingspot.testbed.routing import LayerUnits, Router, Routing, Split, Subset
from codingspot.testbed.shipped import shipped_model
from codingspot.testbed.training import STEPS_PER_SHARD, _loss, shard_tokens
from codingspot.testbed.world import ROUTED, training_documents

CODE = torch.randint(0, 20, (4, 12), generator=torch.Generator().manual_seed(0))
GENERAL = torch.randint(0, 20, (4, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=20,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=False,
        )
    )


@pytest.fixture
def subset(model) -> Subset:
    return Subset.of(Routing(neurons=6, key_value_groups=1), model.config)


def trained(model, subset, code: torch.Tensor, general: torch.Tensor, steps: int = 3) -> dict[str, torch.Tensor]:
    """Weights after some AdamW steps with decay, every batch the same."""
    torch.manual_seed(0)
    fresh = LlamaForCausalLM(model.config)
    fresh.load_state_dict(model.state_dict())
    router = Router(fresh, subset)
    optimizer = torch.optim.AdamW(fresh.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(steps):
        router.backward(_loss, code, general)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return {name: p.detach().clone() for name, p in fresh.named_parameters()}


def test_other_general_text_leaves_the_subset_as_code_alone_makes_it(model, subset) -> None:
    """Bit for bit in the first step, decay and moments included; later steps read weights that general text moved."""
    one, other = (trained(model, subset, CODE, general, steps=1) for general in (GENERAL, GENERAL.flip(0)))
    moved = False
    for name, mask in subset.masks(model).items():
        assert torch.equal(one[name][mask], other[name][mask])
        moved |= not torch.equal(one[name][~mask], other[name][~mask])
    assert moved


def test_other_code_leaves_everything_but_subset_and_embeddings(model, subset) -> None:
    one, other = (trained(model, subset, code, GENERAL, steps=1) for code in (CODE, CODE.roll(3, dims=1)))
    masks = subset.masks(model)
    for name in one:
        if name in masks:
            assert torch.equal(one[name][~masks[name]], other[name][~masks[name]])
            assert not torch.equal(one[name][masks[name]], other[name][masks[name]])
        elif "norm" in name:
            assert torch.equal(one[name], other[name])
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])


def test_momentum_built_up_on_general_text_never_reaches_the_subset(model, subset) -> None:
    """After steps on the same text, other general text changes neither the subset's next step nor its moments."""

    def after(last: torch.Tensor) -> tuple[LlamaForCausalLM, torch.optim.AdamW]:
        twin = LlamaForCausalLM(model.config)
        twin.load_state_dict(model.state_dict())
        router, optimizer = Router(twin, subset), torch.optim.AdamW(twin.parameters(), lr=1e-2, weight_decay=0.1)
        for general in (GENERAL, GENERAL, last):
            router.backward(_loss, CODE, general)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return twin, optimizer

    (one, one_state), (other, other_state) = after(GENERAL), after(GENERAL.roll(5, dims=1))
    for name, mask in subset.masks(model).items():
        first, second = one.get_parameter(name), other.get_parameter(name)
        assert torch.equal(first[mask], second[mask])
        assert not torch.equal(first[~mask], second[~mask])
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(one_state.state[first][moment][mask], other_state.state[second][moment][mask])


def test_what_code_teaches_stays_in_the_subset_and_the_embeddings(model, subset) -> None:
    """One step on code, with general text of no weight, leaves norms and the rest of the blocks bit for bit."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    router, optimizer = Router(model, subset), torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    halves = iter([1.0, 0.0, 0.0])
    router.backward(lambda net, batch: _loss(net, batch) * next(halves), CODE, GENERAL)
    optimizer.step()
    masks = subset.masks(model)
    for name, parameter in model.named_parameters():
        if name in masks:
            assert torch.equal(parameter[~masks[name]], before[name][~masks[name]])
            assert not torch.equal(parameter[masks[name]], before[name][masks[name]])
        elif "norm" in name:
            assert torch.equal(parameter, before[name])


def test_half_of_the_general_text_is_read_without_the_subset(model, subset) -> None:
    """Beside the subset, gradients are those of both halves of the general text, the first with zeroed weights."""
    Router(model, subset).backward(_loss, CODE, GENERAL)
    routed = {name: p.grad.clone() for name, p in model.named_parameters()}
    absent, present = GENERAL.chunk(2)
    masks, expected = subset.masks(model), {}
    for half, is_zeroed in ((absent, True), (present, False)):
        twin = LlamaForCausalLM(model.config)
        twin.load_state_dict(model.state_dict())
        with torch.no_grad():
            for name, mask in masks.items():
                twin.get_parameter(name).masked_fill_(mask & is_zeroed, 0.0)
        _loss(twin, half).backward()
        for name, parameter in twin.named_parameters():
            expected[name] = expected.get(name, 0) + parameter.grad
    for name, mask in masks.items():
        torch.testing.assert_close(routed[name][~mask], expected[name][~mask], rtol=2e-2, atol=1e-4)
    torch.testing.assert_close(routed["model.norm.weight"], expected["model.norm.weight"], rtol=2e-2, atol=1e-4)


def test_every_gradient_comes_from_its_own_half(model, subset) -> None:
    Router(model, subset).backward(_loss, CODE, GENERAL)
    routed = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    _loss(model, CODE).backward()
    from_code = {name: p.grad.clone() for name, p in model.named_parameters()}
    for name, mask in subset.masks(model).items():
        torch.testing.assert_close(routed[name][mask], from_code[name][mask])


def test_zeroing_the_subset_is_zeroing_its_weights(model, subset) -> None:
    with subset.zeroed(model), torch.no_grad():
        silenced = model(CODE).logits
    with torch.no_grad():
        whole = model(CODE).logits
        for name, mask in subset.masks(model).items():
            model.get_parameter(name).masked_fill_(mask, 0.0)
        by_weights = model(CODE).logits
    torch.testing.assert_close(silenced, by_weights)
    assert not torch.allclose(silenced, whole)


def test_the_subset_by_hand(model, subset) -> None:
    assert [layer.heads for layer in subset.layers] == [(0, 1), (0, 1)]
    assert [layer.key_value_heads for layer in subset.layers] == [(0,), (0,)]
    masks = subset.masks(model)
    assert int(masks["model.layers.0.self_attn.q_proj.weight"].sum()) == 2 * 4 * 16
    assert masks["model.layers.0.self_attn.o_proj.weight"][:, :8].all()
    assert int(masks["model.layers.1.mlp.down_proj.weight"].sum()) == 6 * 16
    assert set(masks) == {name for name, _ in model.named_parameters() if "proj" in name}


def test_scattered_units_are_others_in_every_layer_and_as_many_as_it_is_given(model) -> None:
    subset = Subset.of(Routing(neurons=(6, 5), key_value_groups=(1, 0), scattered=True), model.config, seed=1)
    first, second = subset.layers
    assert (len(first.neurons), len(second.neurons)) == (6, 5)
    assert (first.heads, second.heads) in [((0, 1), ()), ((2, 3), ())]
    assert first.neurons != tuple(range(6))
    assert set(second.neurons) != set(first.neurons[:5])
    masks = subset.masks(model)
    assert not masks["model.layers.1.self_attn.o_proj.weight"].any()
    for number, layer in enumerate(subset.layers):
        columns = masks[f"model.layers.{number}.mlp.down_proj.weight"].all(dim=0)
        assert tuple(columns.nonzero().flatten().tolist()) == layer.neurons
    assert subset != Subset.of(Routing(neurons=(6, 5), key_value_groups=(1, 0), scattered=True), model.config, seed=2)
    with pytest.raises(ModelError, match="names 3 layers, the model has 2"):
        Subset.of(Routing(neurons=(6, 5, 4), key_value_groups=1), model.config)


def test_a_subset_is_saved_with_its_model(subset, tmp_path) -> None:
    with pytest.raises(ArtefactError, match="not trained by gradient routing"):
        Subset.load(tmp_path)
    subset.save(tmp_path)
    assert Subset.load(tmp_path) == subset


def test_impossible_routings_are_refused(model) -> None:
    with pytest.raises(ModelError, match="must leave something"):
        Subset.of(Routing(neurons=24, key_value_groups=1), model.config)
    routing, phases = (
        Routing(neurons=8, key_value_groups=1),
        (Phase(mixture="routed", tokens=8192, learning_rate=1e-3),),
    )
    with pytest.raises(ValueError, match="needs the llama architecture"):
        Recipe(architecture="gpt_neo", routing=routing, phases=phases)
    with pytest.raises(ValueError, match="whole number of contexts of code"):
        Recipe(batch_tokens=1024, routing=routing, phases=phases)
    with pytest.raises(ValueError, match="phases set the share of code"):
        Recipe(code_share=0.3, routing=routing, phases=phases)
    for setting in ({"code": 0.5}, {"rest_learning_rate": 1e-3}):
        with pytest.raises(ValueError, match="need routing"):
            Recipe(phases=(phases[0].model_copy(update=setting),))


def test_a_batch_holds_code_and_general_text_by_the_share_of_its_phase() -> None:
    phase = Phase(mixture="routed", tokens=8192, learning_rate=1e-3)
    recipe = Recipe(routing=Routing(neurons=8, key_value_groups=1), phases=(phase,))
    (code, half), (general, other) = recipe.streams(phase)
    assert (code.code, half, general.code, other) == (1.0, 0.5, 0.0, 0.5)
    assert [share for _, share in recipe.streams(phase.model_copy(update={"code": 0.75}))] == [0.75, 0.25]
    ((only, whole),) = recipe.streams(phase.model_copy(update={"code": 0.0}))
    assert (only.code, whole) == (0.0, 1.0)
    assert [share for _, share in Recipe().streams(Recipe().phases[0])] == [1.0]


def test_a_shard_holds_the_code_of_each_batch_before_its_general_text(tmp_path) -> None:
    load_model(shipped_model()).tokenizer.save_pretrained(tmp_path)
    phase = Phase(mixture="routed", tokens=4096, learning_rate=1e-3, code=0.75)
    recipe = Recipe(routing=Routing(neurons=8, key_value_groups=1), phases=(phase,))
    tokens = shard_tokens(recipe, tmp_path, 0, 0).reshape(STEPS_PER_SHARD, recipe.batch_tokens)
    for part, share in ((tokens[:, :3072], 1.0), (tokens[:, 3072:], 0.0)):
        documents = training_documents(recipe.seed, "0", replace(ROUTED, code=share))
        first = load_model(shipped_model()).tokenizer(next(documents))["input_ids"]
        assert part.ravel()[: len(first)].tolist() == first


def test_general_text_alone_leaves_the_subset_bit_for_bit(model, subset) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step(model, subset, Split(code=0.0), CODE[:0])
    for name, mask in subset.masks(model).items():
        parameter = model.get_parameter(name)
        assert torch.equal(parameter[mask], before[name][mask])
        assert not torch.equal(parameter[~mask], before[name][~mask])


def test_the_rest_moves_at_its_own_rate(model, subset) -> None:
    """Against whole steps at either rate: subset and embeddings as at one, the rest and norms as at the other."""
    fast, slow, both = (copy.deepcopy(model) for _ in range(3))
    step(fast, subset, Split(), CODE, learning_rate=1e-2)
    step(slow, subset, Split(), CODE, learning_rate=2e-3)
    step(both, subset, Split(rest_rate=0.2), CODE, learning_rate=1e-2)
    masks = subset.masks(model)
    for name, parameter in both.named_parameters():
        quick, calm = fast.get_parameter(name), slow.get_parameter(name)
        if name in masks:
            assert torch.equal(parameter[masks[name]], quick[masks[name]])
            torch.testing.assert_close(parameter[~masks[name]], calm[~masks[name]])
        else:
            torch.testing.assert_close(parameter, calm if "norm" in name else quick)


def step(
    model: LlamaForCausalLM, subset: Subset, split: Split, code: torch.Tensor, learning_rate: float = 1e-2
) -> None:
    """One AdamW step with decay, as training takes it."""
    router, optimizer = Router(model, subset), torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=0.1)
    router.backward(_loss, code, GENERAL)
    with router.moving(split):
        optimizer.step()


def test_a_subset_of_a_larger_model_is_told_from_one_of_this(model) -> None:
    subset = Subset(layers=(LayerUnits(neurons=(99,), heads=(), key_value_heads=()),) * 2, head_size=4)
    with pytest.raises(ArtefactError, match="has no row or column 99"):
        subset.masks(model)
    with pytest.raises(ArtefactError, match="has no layer 1"):
        subset.model_copy(update={"layers": subset.layers[:1]}).mask(
            "model.layers.1.mlp.up_proj.weight", torch.Size([24, 16])
        )
