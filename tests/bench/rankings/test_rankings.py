"""Published methods, each beside a few lines that do the same in another way."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from sklearn.linear_model import Lasso
from torch import Tensor

from codingspot.bench import METHODS, BenchInput
from codingspot.bench.entries import ranked
from codingspot.bench.rankings.collapse import Directions
from codingspot.bench.rankings.compressed_sensing import random_masks
from codingspot.models import find_units, role_of, unique_parameters

HEAD = 4  # weights a head has in q and o along its axis


def run(name: str, bench: BenchInput, **settings: object) -> Tensor:
    return METHODS.bind(name, settings)(bench)


def matrices(bench: BenchInput) -> dict[str, torch.nn.Linear]:
    """The linear layers of the blocks by the name of their weight."""
    modules = dict(bench.loaded.model.named_modules())
    names = [name for name in unique_parameters(bench.loaded.model) if role_of(name).block in ("attention", "mlp")]
    return {name: modules[name.removesuffix(".weight")] for name in names}


def read(bench: BenchInput, ids: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Each matrix's inputs, and the gradients of the summed loss at its outputs, [rows, tokens, width]."""
    seen: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: object, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            output.retain_grad()
            seen[name] = [arguments[0].detach(), output]

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in matrices(bench).items()]
    loss(bench, ids, reduction="sum").backward()
    for handle in handles:
        handle.remove()
    bench.loaded.model.zero_grad()
    return {name: (inputs, output.grad) for name, (inputs, output) in seen.items()}  # type: ignore[misc]


def loss(bench: BenchInput, ids: Tensor, reduction: str = "mean") -> Tensor:
    logits = bench.loaded.model(ids).logits[:, :-1].flatten(0, 1)
    return F.cross_entropy(logits, ids[:, 1:].flatten(), reduction=reduction)


def texts(bench: BenchInput) -> dict[str, Tensor]:
    code, general = bench.texts
    return {name: tokens.input_ids for name, tokens in {**code, **general}.items()}


def activations(bench: BenchInput, ids: Tensor, kind: str) -> Tensor:
    """What all layers' down or o projections read, [tokens, layers * width]."""
    found = [inputs for name, (inputs, _) in read(bench, ids).items() if name.endswith(f"{kind}_proj.weight")]
    return torch.cat([each.flatten(0, 1) for each in found], dim=1).double()


def key_of_each(bench: BenchInput, kind: str, keys: Tensor) -> Tensor:
    """The key of each unit, which all its weights have."""
    units = find_units(bench.loaded.model, kind)  # type: ignore[arg-type]
    own = keys[units.positions(torch.arange(len(units)))].view(len(units), -1)
    assert torch.equal(own, own[:, :1].expand_as(own))
    assert (keys > -torch.inf).sum() == (own > -torch.inf).sum()
    return own[:, 0]


SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": lambda a: a.abs().mean(0),
    "rms": lambda a: a.square().mean(0).sqrt(),
    "std": lambda a: a.std(0, correction=0),
    "freq": lambda a: (a > 0).double().mean(0),
}


def pruned(bench: BenchInput, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Neurons by the ratio of code to general, best first."""
    each = {name: score(activations(bench, ids, "down")) for name, ids in texts(bench).items()}
    return torch.argsort((each["go"] + each["rust"]) / 2 / each["english"], descending=True, stable=True)


@pytest.mark.parametrize("score", SCORES)
def test_selective_pruning_orders_neurons_by_the_ratio_of_code_to_general_text(bench, score) -> None:
    keys = key_of_each(bench, "neuron", run("selective_pruning", bench, score=score))
    assert torch.argsort(keys, descending=True, stable=True).tolist() == pruned(bench, SCORES[score]).tolist()


def test_selective_pruning_in_steps_scores_what_is_left_again(bench) -> None:
    """Two steps of 1/24 of 48 neurons: the second pair is the best of the model without the first."""
    before = {name: weight.clone() for name, weight in unique_parameters(bench.loaded.model).items()}
    keys = key_of_each(bench, "neuron", run("selective_pruning", bench, steps=2, step_percent=100 / 24))
    found = torch.argsort(keys, descending=True, stable=True)
    first = pruned(bench, SCORES["abs"])[:2]
    for name, weight in unique_parameters(bench.loaded.model).items():
        assert torch.equal(weight, before[name])
        if name.endswith("down_proj.weight"):
            inside = [int(n) % 24 for n in first if f"layers.{int(n) // 24}." in name]
            weight.data[:, inside] = 0
        if name.endswith("up_proj.weight"):
            inside = [int(n) % 24 for n in first if f"layers.{int(n) // 24}." in name]
            weight.data[inside] = 0
    second = [int(n) for n in pruned(bench, SCORES["abs"]) if n not in first]
    assert found.tolist() == [*first.tolist(), *second]


def test_specific_heads_are_those_whose_attribution_for_code_is_so_many_times_that_for_english(bench) -> None:
    def attribution(ids: Tensor) -> Tensor:
        found = []
        for name, (inputs, gradients) in read(bench, ids).items():
            if name.endswith("o_proj.weight"):
                of_inputs = gradients @ unique_parameters(bench.loaded.model)[name].detach()
                products = (inputs * of_inputs).unflatten(-1, (4, -1)).sum(-1)
                found.append(products.abs().sum((0, 1)) / (ids.shape[0] * (ids.shape[1] - 1)))
        return torch.cat(found)

    each = {name: attribution(ids) for name, ids in texts(bench).items()}
    code = (each["go"] + each["rust"]) / 2
    times = float((code / each["english"]).sort().values[-3:-1].mean())  # the best two have it
    keys = key_of_each(bench, "head", run("specific_by_pls", bench, times=times))
    chosen = code >= times * each["english"]
    assert int(chosen.sum()) == 2
    torch.testing.assert_close(keys, torch.where(chosen, code, -torch.inf), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("design", ["stratified", "bernoulli"])
def test_compressed_sensing_is_the_lasso_of_losses_on_masks(bench, design) -> None:
    drawn = random_masks(design, 20, 8, 0.2, np.random.default_rng(0))
    weights = unique_parameters(bench.loaded.model)
    rises = []
    for mask in drawn:
        before = {name: weight.detach().clone() for name, weight in weights.items() if name.endswith("o_proj.weight")}
        for layer, weight in enumerate(weights[name] for name in before):
            for head in np.flatnonzero(mask[4 * layer : 4 * layer + 4]):
                weight.data[:, HEAD * head : HEAD * (head + 1)] = 0
        rises.append(np.mean([float(loss(bench, texts(bench)[name])) for name in ("go", "rust")]))
        for name, weight in before.items():
            weights[name].data.copy_(weight)
    outcomes = (np.array(rises) - np.mean(rises)) / np.std(rises)
    expected = Lasso(alpha=0.05).fit(drawn.astype(float), outcomes).coef_
    found = run("compressed_sensing", bench, design=design, masks=20, mask_share=0.2, alpha=0.05)
    keys = key_of_each(bench, "head", found)
    assert np.count_nonzero(expected) > 2
    np.testing.assert_allclose(keys, expected, atol=2e-3)


def test_stratified_masks_zero_every_head_equally_often() -> None:
    masks = random_masks("stratified", 100, 36, 0.02, np.random.default_rng(0))
    assert (masks.sum(1) == 1).all()
    assert set(masks.sum(0)) <= {2, 3}
    tossed = random_masks("bernoulli", 1000, 36, 0.1, np.random.default_rng(0))
    assert tossed.mean() == pytest.approx(0.1, abs=0.01)


def top(scores: Tensor, percent: float) -> set[int]:
    return set(scores.flatten().topk(int(percent / 100 * scores.numel())).indices.tolist())


def assert_is_difference_of_tops(bench, keys, code, general, code_percent, general_percent) -> None:
    layout = find_units(bench.loaded.model, "head").layout
    for name in matrices(bench):
        own = keys[layout.slice(name)]
        expected = top(code[name], code_percent) - top(general[name], general_percent)
        assert set((own > -torch.inf).nonzero().flatten().tolist()) == expected
        ordered = sorted(expected, key=lambda place: -float(code[name].flatten()[place]))
        assert own.argsort(descending=True, stable=True)[: len(ordered)].tolist() == ordered
    outside = [name for name in layout.names if name not in matrices(bench)]
    assert all((keys[layout.slice(name)] == -torch.inf).all() for name in outside)


@pytest.mark.parametrize("norms", ["sequence", "text"])
def test_mathneuro_takes_the_top_of_each_tensor_without_the_top_for_general_text(bench, norms) -> None:
    def products(names: tuple[str, ...]) -> dict[str, Tensor]:
        inputs = {matrix: [read(bench, texts(bench)[name])[matrix][0] for name in names] for matrix in matrices(bench)}
        found = {}
        for matrix, layer in matrices(bench).items():
            rows = torch.cat(inputs[matrix])  # [sequences, tokens, width]
            scale = rows.norm(dim=1).sum(0) if norms == "sequence" else rows.flatten(0, 1).norm(dim=0)
            found[matrix] = layer.weight.detach().abs() * scale
        return found

    keys = run("mathneuro", bench, norms=norms, percent=25.0)
    assert_is_difference_of_tops(bench, keys, products(("go", "rust")), products(("english",)), 25, 25)


@pytest.mark.parametrize("score", ["snip", "wanda"])
def test_set_differences_in_tensors_are_those_of_their_tops(scored, score) -> None:
    store = scored.scores("any")

    def magnitudes(*domains: str) -> dict[str, Tensor]:
        sizes = store.layout.sizes
        return {n: sum(store.magnitude(d, n, 0, sizes[n]) for d in domains) for n in matrices(scored)}  # type: ignore[misc]

    keys = run("set_difference_in_tensors", scored, score=score, code_percent=20.0, general_percent=40.0)
    assert_is_difference_of_tops(scored, keys, magnitudes("go", "rust"), magnitudes("english"), 20, 40)


def test_neurons_by_lape_are_active_on_a_language_and_not_on_english(bench) -> None:
    activity = {}
    for name, ids in texts(bench).items():
        seen = {matrix: inputs.flatten(0, 1) for matrix, (inputs, _) in read(bench, ids).items() if "gate" in matrix}
        gates = [inputs @ matrices(bench)[matrix].weight.T for matrix, inputs in seen.items()]
        activity[name] = torch.cat([(gate > 0).double().mean(0) for gate in gates])
    shares = torch.stack([activity[name] for name in ("go", "rust", "english")], dim=1)
    bar = shares.flatten().sort().values[round(0.7 * shares.numel()) - 1]
    p = shares / shares.sum(1, keepdim=True)
    entropy = -(p * p.clamp(min=1e-300).log()).sum(1)
    chosen = (shares[:, :2] > bar).any(1) & (shares[:, 2] <= bar)
    keys = key_of_each(bench, "neuron", run("neurons_by_lape", bench, quantile=0.7))
    assert 0 < int(chosen.sum()) < len(chosen)
    torch.testing.assert_close(keys, torch.where(chosen, -entropy, -torch.inf).float())


def test_directions_are_projected_out() -> None:
    """Vectors in a plane off the origin: without mean and two components nothing is left; without one, a line is."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(50, 2, generator=generator) @ torch.tensor([[3.0, 0, 0, 0], [0, 1.0, 0, 0]])
    vectors[:, 2] = 5.0
    directions = Directions()
    directions.add(vectors[:20])
    directions.add(vectors[20:].view(5, 6, 4))
    assert (vectors @ directions.outside(2)).abs().max() < 1e-4
    left = vectors @ directions.outside(1)
    assert left.std(0).max() > 0.5
    assert torch.linalg.matrix_rank(directions.outside(1)) == 2
    assert directions.outside(2)[3, 3] == pytest.approx(1.0)


def test_collapse_is_the_saliency_of_inputs_and_gradients_projected_token_by_token(bench) -> None:
    general = read(bench, texts(bench)["english"])
    keys = run("collapse", bench, of_inputs=3, of_gradients=2)
    layout = find_units(bench.loaded.model, "head").layout

    def without(vectors: Tensor, common: Tensor, components: int) -> Tensor:
        rows = common.flatten(0, 1)
        _, _, best = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
        basis = torch.linalg.qr(torch.cat([rows.mean(0)[None], best[:components]]).T).Q
        return vectors - vectors @ basis @ basis.T

    for name, layer in matrices(bench).items():
        expected = torch.zeros_like(layer.weight)
        for language in ("go", "rust"):
            inputs, gradients = read(bench, texts(bench)[language])[name]
            x, g = without(inputs, general[name][0], 3), without(gradients, general[name][1], 2)
            expected += (torch.einsum("bto,bti->oi", g, x) * layer.weight.detach()).abs() / 54
        torch.testing.assert_close(keys[layout.slice(name)].view_as(expected), expected, rtol=2e-3, atol=1e-7)


def test_a_weight_s_key_is_its_own_rank_and_that_of_its_unit(scored) -> None:
    keys = run("unit_prior", scored)
    units = find_units(scored.loaded.model, "neuron")
    blocks = torch.cat([torch.arange(s.start, s.stop) for s in map(units.layout.slice, matrices(scored))])
    own = torch.full_like(keys, torch.nan)
    contrast = ranked(scored, estimator="fisher", recipe="log_ratio")[blocks]
    own[blocks] = torch.from_numpy((rankdata(contrast) - 1) / (len(blocks) - 1)).float()
    rms, needed = {}, {}
    weights = unique_parameters(scored.loaded.model)
    for name, ids in texts(scored).items():
        found = read(scored, ids)
        down = [matrix for matrix in found if matrix.endswith("down_proj.weight")]
        each = torch.cat([found[m][0].flatten(0, 1).square().mean(0).sqrt() for m in down])
        rms[name] = each / each.mean()
        effect = [-(found[m][0] * (found[m][1] @ weights[m].detach())).sum((0, 1)) for m in down]
        needed[name] = torch.cat(effect)
    code = (rms["go"] + rms["rust"]) / 2

    def ranks(values: Tensor) -> Tensor:
        return torch.from_numpy((rankdata(values.detach().float().numpy()) - 1) / (len(values) - 1))

    prior = ranks(ranks((code + 0.1) / (rms["english"] + 0.1)) + ranks(-needed["english"]))
    expected = (keys - own)[units.positions(torch.arange(48))].view(48, -1)
    torch.testing.assert_close(expected, prior[:, None].float().expand_as(expected), atol=1e-4, rtol=0)
    assert (keys[[*set(range(units.layout.total)) - set(blocks.tolist())]] == -torch.inf).all()
