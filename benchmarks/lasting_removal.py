"""Removal that lasts: how fast fine-tuning on few programs brings code back, by how it was removed.

    python benchmarks/lasting_removal.py --programs 99 --rates 1e-4 1e-3 --out lasting.json

Every way removes until the loss of code on held-out text has risen by --rise nats a token: a spot by its dose,
unlearning by its steps. Then all weights are free, and the model is fine-tuned on the programs
(AdamW, a sequence of 128 tokens a step). *Recovered* is the share that is gone of the distance to the model from
which nothing was removed, after the same steps: fine-tuning helps that one, too.

Unlearning: gradient ascent and NPO (arXiv 2404.05868, its ratio taken per token, beta 1), each with the loss of English
added; and CIR (arXiv 2509.11816), of the ascent and of its own loss, which turns the MLPs' outputs away from the
original's: of every linear layer of the blocks, what lies in the first directions of English's inputs and output
gradients is taken off both before the update, without a term for English.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from codingspot import load_model
from codingspot.ablation import WeightEditor
from codingspot.ablation.controls import uniform_control
from codingspot.export import export_smaller
from codingspot.importance.accumulation import gradients_enabled
from codingspot.importance.finetune import FineTune, fine_tuned
from codingspot.learning import Learner, LearnSettings, dose_that_harms
from codingspot.models import LoadedModel, OutputHead
from codingspot.spot import Spot, WholeUnits
from codingspot.units.controls import other_units
from uses import World, copied, markdown, mean_and_range, parser, worlds

SEQUENCES = 1
"""Of a step."""
MOST_STEPS = 200
"""Of unlearning."""


class Removal:
    """The ways of removing code from the model of a world, each to the same loss of code."""

    def __init__(self, world: World, options: argparse.Namespace) -> None:
        self.world, self.options = world, options
        self.measure = world.losses()
        self.original = self.measure()
        self.target = self.original["code"] + options.rise
        self._harmful_neurons = cache(lambda: self._to_target(world.unit_spot(options.most)))

    def ways(self) -> dict[str, Callable[[], tuple[LoadedModel, int]]]:
        """By name, what gives the model without code and how many parameters were removed."""
        spots = {
            "weights, set difference": lambda: self._to_target(self.world.weight_spot(self.options.most)),
            "weights, learned mask": lambda: self._to_target(self._mask()),
            "weights, random": lambda: self._to_target(self._random_weights()),
            "neurons, rms ratio": self._harmful_neurons,
            "neurons, random": lambda: self._to_target(self._random_neurons()),
        }
        unlearnings = {
            "gradient ascent": partial(self._descended, ascent),
            "NPO": partial(self._descended, npo),
            "ascent, CIR": partial(self._collapsed, self._ascent),
            "broken MLPs, CIR": partial(self._collapsed, self._breaking),
        }
        return {
            "nothing": lambda: (self.world.loaded, 0),
            **{name: partial(self._zeroed, spot) for name, spot in spots.items()},
            "neurons, as many of each layer, cut out": self._cut,
            "neurons, rms ratio, then 50 steps on English": self._healed,
            **{name: partial(self._unlearned, way) for name, way in unlearnings.items()},
        }

    def _to_target(self, spot: Spot) -> Spot:
        return dose_that_harms(
            self.world.loaded, spot, self.measure, "code", self.target, original=self.original["code"]
        )

    def _zeroed(self, find: Callable[[], Spot]) -> tuple[LoadedModel, int]:
        loaded, spot = copied(self.world.loaded), find()
        WeightEditor(loaded.model).apply(spot)
        return loaded, len(spot)

    def _mask(self) -> Spot:
        code, general = self.world.texts()
        settings = LearnSettings(doses=(0.1, 0.25, 0.5), steps=self.options.mask_steps, seed=self.world.seed)
        learner = Learner(self.world.loaded, self.world.store, {**code, **general}, self.measure, settings)
        return learner.learn(learner.split)[0].spot

    def _random_weights(self) -> Spot:
        spot = self.world.weight_spot(1)
        return uniform_control(spot, seed=self.world.seed, scope="blocks", most=spot.layout.total // 2)

    def _random_neurons(self) -> Spot:
        spot, units = self.world.unit_spot(1), self.world.units
        return other_units(spot, units, seed=self.world.seed, most=spot.layout.total)

    def _cut(self) -> tuple[LoadedModel, int]:
        spot = self._to_target(layer_by_layer(self.world.unit_spot(self.options.most), self.world))
        folder = self.world.scratch / f"smaller-{self.world.seed}"
        export_smaller(spot, self.world.loaded.folder, folder, force=True)
        return load_model(folder), len(spot)

    def _healed(self) -> tuple[LoadedModel, int]:
        loaded, removed = self._zeroed(self._harmful_neurons)
        english = self.world.general
        with fine_tuned(loaded.model, english, FineTune(50, 3e-4, sequences_per_step=SEQUENCES, seed=self.world.seed)):
            return copied(loaded), removed

    def _unlearned(self, way: Callable[[], LoadedModel]) -> tuple[LoadedModel, int]:
        return way(), 0

    def _descended(self, objective: Objective) -> LoadedModel:
        """Steps of AdamW on what is to be forgotten and on English."""
        reference = OutputHead(self.world.loaded.model)
        loaded = copied(self.world.loaded)
        head = OutputHead(loaded.model)
        optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=self.options.unlearning_rate, weight_decay=0)
        with gradients_enabled(loaded.model):
            for code, english in self._steps(loaded):
                with torch.no_grad():
                    before = _mean_loss(reference, code)
                (objective(_mean_loss(head, code), before) + _mean_loss(head, english)).backward()
                optimizer.step()
                optimizer.zero_grad()
        return loaded

    def _ascent(self, loaded: LoadedModel) -> Callable[[Tensor], Tensor]:
        """The loss of a text, upwards."""
        head = OutputHead(loaded.model)
        return lambda ids: -_mean_loss(head, ids)

    def _breaking(self, loaded: LoadedModel) -> Callable[[Tensor], Tensor]:
        """How far the MLPs' outputs on a text still go along the original's."""

        def along(ids: Tensor) -> Tensor:
            with torch.no_grad():
                before = mlp_outputs(self.world.loaded.model, ids)
            return still_along(mlp_outputs(loaded.model, ids), before)

        return along

    def _collapsed(self, objective_of: Callable[[LoadedModel], Callable[[Tensor], Tensor]]) -> LoadedModel:
        """Steps of one length down what is minimised on code, without what English shares."""
        loaded = copied(self.world.loaded)
        objective, layers = objective_of(loaded), _Linear.of(loaded.model)
        english = self.world.general.input_ids[:16]
        with gradients_enabled(loaded.model):
            objective(english).backward()
            for layer in layers:
                layer.learn_directions(self.options.directions)
            for code, _ in self._steps(loaded):
                objective(code).backward()
                updates = [(layer.module.weight, layer.collapsed()) for layer in layers]
                norm = sum(float(update.square().sum()) for _, update in updates) ** 0.5
                with torch.no_grad():
                    for weight, update in updates:
                        weight -= self.options.cir_step / norm * update
                loaded.model.zero_grad()
        for layer in layers:
            layer.close()
        return loaded

    def _steps(self, loaded: LoadedModel) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of code and of English until code is lost."""
        code, general = self.world.texts()
        sides = [torch.cat([text.input_ids for text in side.values()]) for side in (code, general)]
        generator = torch.Generator().manual_seed(self.world.seed)
        measure = self.world.losses(loaded)
        for _ in range(MOST_STEPS):
            if measure()["code"] >= self.target:
                return
            batches = (side[torch.randint(len(side), (SEQUENCES,), generator=generator)] for side in sides)
            yield next(batches), next(batches)


MEASURED = ("code", "python", "english")

Objective = Callable[[Tensor, Tensor], Tensor]
"""What is minimised, from the loss of code now and before."""


def ascent(loss: Tensor, before: Tensor) -> Tensor:
    """The loss of code, upwards."""
    del before
    return -loss


def npo(loss: Tensor, before: Tensor, beta: float = 1.0) -> Tensor:
    """Negative preference optimisation: an ascent that slows down as the model moves away."""
    return -2 / beta * logsigmoid(beta * (loss - before))


def mlp_outputs(model: nn.Module, ids: Tensor) -> list[Tensor]:
    """What the MLP of every block writes, [tokens, width] each."""
    outputs: list[Tensor] = []
    handles = [
        module.register_forward_hook(lambda _, __, wrote: outputs.append(wrote.flatten(0, -2)))
        for name, module in model.named_modules()
        if name.endswith(".mlp")
    ]
    model.base_model(input_ids=ids.to(model.device), use_cache=False)
    for handle in handles:
        handle.remove()
    return outputs


def still_along(now: Sequence[Tensor], before: Sequence[Tensor]) -> Tensor:
    """CIR's own loss: each token's product of an MLP's output with the original's, 0 where it points away.

    In squares of the original's mean norm, and the mean over tokens and MLPs: 1 where nothing has changed but norms.
    """
    each = [
        (wrote * original).sum(-1).clamp(min=0).mean() / original.norm(dim=-1).mean().square()
        for wrote, original in zip(now, before, strict=True)
    ]
    return torch.stack(each).mean()


class _Linear:
    """A linear layer of the blocks: what it read and the gradient of what it wrote, [tokens, width]."""

    def __init__(self, module: nn.Linear) -> None:
        self.module = module
        self._sides: dict[str, Tensor] = {}
        self._directions: dict[str, Tensor] = {}
        self._handles = [
            module.register_forward_hook(lambda _, read, __: self._keep("read", read[0])),
            module.register_full_backward_hook(lambda _, __, gradient: self._keep("gradient", gradient[0])),
        ]

    @classmethod
    def of(cls, model: nn.Module) -> list[_Linear]:
        """Those of a model."""
        return [cls(each) for name, each in model.named_modules() if isinstance(each, nn.Linear) and ".layers." in name]

    def close(self) -> None:
        """Read no more."""
        for handle in self._handles:
            handle.remove()

    def learn_directions(self, count: int) -> None:
        """Keep the first right singular vectors of both sides, [count, width]."""
        for name, side in self._sides.items():
            self._directions[name] = torch.linalg.eigh(side.T @ side).eigenvectors[:, -count:].T

    def collapsed(self) -> Tensor:
        """The gradient of the weight, [outputs, inputs], without these directions."""
        read, gradient = (
            self._sides[name] - self._sides[name] @ self._directions[name].T @ self._directions[name]
            for name in ("read", "gradient")
        )
        return gradient.T @ read

    def _keep(self, name: str, side: Tensor) -> None:
        self._sides[name] = side.detach().flatten(0, -2)


def layer_by_layer(spot: Spot, world: World) -> Spot:
    """The neurons of a spot with the best of every layer first, then the second of every layer, and so on."""
    numbers = spot.units.numbers
    layers = pd.Series(world.units.layers[numbers].numpy())
    places = layers.groupby(layers).cumcount()
    order = numbers[torch.tensor(places.argsort(kind="stable").to_numpy())]
    whole = WholeUnits("neuron", order, world.units.sizes[order])
    return replace(spot, positions=world.units.positions(order), units=whole)


def _mean_loss(head: OutputHead, ids: Tensor) -> Tensor:
    return head.text_loss(ids) / (len(ids) * (ids.shape[1] - 1))


def relearned(world: World, loaded: LoadedModel, options: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Losses before and after steps of fine-tuning, for every number of programs and every rate."""
    measure = world.losses(loaded)
    harmed = measure()
    for count in options.programs:
        programs = world.programs(count)
        for rate in options.rates:
            about = {"programs": count, "rate": rate}
            found = [{**about, "step": 0, **harmed}]

            def on_step(done: int, about: Mapping[str, float] = about, found: list[dict[str, float]] = found) -> None:
                if done in options.steps:
                    found.append({**about, "step": done, **measure()})

            tuned = FineTune(options.steps[-1], rate, sequences_per_step=SEQUENCES, seed=world.seed)
            with fine_tuned(loaded.model, programs, tuned, on_step=on_step):
                yield from found


def with_recovered(table: pd.DataFrame) -> pd.DataFrame:
    """All rows with the share that is gone of the distance to the model from which nothing was removed."""
    at = ["seed", "programs", "rate", "step"]
    whole = table[table["way"] == "nothing"].set_index(at)["code"]
    behind = table["code"] - table.join(whole.rename("whole"), on=at)["whole"]
    of_seed = ["way", *at[:-1]]
    harmed = table.assign(rise=behind)[table["step"] == 0].set_index(of_seed)["rise"]
    rise = table.join(harmed, on=of_seed)["rise"]
    return table.assign(recovered=1 - behind / rise.where(rise > 0.1))


def show(table: pd.DataFrame) -> Iterator[str]:
    """A table for every number of programs and every rate."""
    table = with_recovered(table)
    steps = sorted(set(table["step"]) - {0})
    for (programs, rate), part in table.groupby(["programs", "rate"], sort=False):
        rows = []
        for way, own in part.groupby("way", sort=False):
            at = {step: own[own["step"] == step] for step in (0, *steps)}
            rows.append(
                {
                    "removed": way,
                    "seeds": own["seed"].nunique(),
                    "parameters": f"{own['parameters'].mean():,.0f}",
                    **{name: mean_and_range(_rise(at[0], name)) for name in MEASURED},
                    **{f"recovered {step}": mean_and_range(at[step]["recovered"]) for step in steps},
                    **{f"{name} after": mean_and_range(_rise(at[steps[-1]], name)) for name in MEASURED[1:]},
                }
            )
        yield f"{programs} programs, learning rate {rate:g}\n\n{markdown(pd.DataFrame(rows))}"


def _rise(rows: pd.DataFrame, name: str) -> pd.Series:
    return rows[name] - rows[f"{name}_original"]


def main() -> None:
    """Parse the arguments and run."""
    options = parser(__doc__, "lasting.json")
    options.add_argument("--rise", type=float, default=1.0, help="of the loss of code, nats a token")
    options.add_argument("--most", type=float, default=8.0, help="of a spot, percent of all parameters")
    options.add_argument("--programs", type=int, nargs="+", default=[99])
    options.add_argument("--rates", type=float, nargs="+", default=[1e-4, 1e-3], help="learning rates of relearning")
    options.add_argument("--steps", type=int, nargs="+", default=[10, 50, 100, 200], help="of relearning")
    options.add_argument("--mask-steps", type=int, default=60)
    options.add_argument("--unlearning-rate", type=float, default=3e-4, help="of gradient ascent and NPO")
    options.add_argument("--cir-step", type=float, default=0.1, help="length of an update")
    options.add_argument("--directions", type=int, default=24, help="that are taken off, of a layer's either side")
    options.add_argument("--ways", nargs="+", default=[""], help="names, or their beginnings; all by default")
    parsed = options.parse_args()
    with worlds(parsed, "ways") as (saved, every):
        for world in every:
            removal = Removal(world, parsed)
            original = {f"{name}_original": value for name, value in removal.original.items()}
            ways = removal.ways()
            chosen = [way for way in ways if way.startswith(tuple(parsed.ways))]
            if not chosen:
                raise SystemExit(
                    f"no way of removal begins with {' or '.join(parsed.ways)}; use some of: {'; '.join(ways)}"
                )
            for way in chosen:
                saved.add((world.seed, way), partial(_rows, world, way, ways[way], original, parsed))
        for part in show(saved.table):
            print(f"\n{part}")


def _rows(
    world: World,
    way: str,
    remove: Callable[[], tuple[LoadedModel, int]],
    original: Mapping[str, float],
    options: argparse.Namespace,
) -> Iterator[dict[str, object]]:
    loaded, parameters = remove()
    about = {"seed": world.seed, "way": way, "parameters": parameters, **original}
    for row in relearned(world, loaded, options):
        yield {**about, **row}


if __name__ == "__main__":
    main()
