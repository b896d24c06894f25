"""How often a spot that is nothing special is called specific, and how often one that is.

    python benchmarks/verdict_calibration.py --model testbed --null 4 --out plain.json
    python benchmarks/verdict_calibration.py --model testbed-routed --null 2 --power 0.5 1 2 --out routed.json
    python benchmarks/verdict_calibration.py --model testbed --of neuron --null 10 20 --out plain-neurons.json

*Null*: each spot is itself a random draw, and so exchangeable with the draws of its control; doses are those where such
draws do real harm. Of weights it is matched in tensor and magnitude to a real spot, of neurons uniform in the model.
*Power*, on the routed model: each spot is a random part of what code was routed to. All is by held-out losses, as the
verdict's test is (``evaluation/standing.py``): a spot is called specific where p is at most 5% among its draws. Beside
it: the same where harm to general text is taken off, but doesn't disqualify. Rates have 95% Wilson intervals. What is
done is saved after every spot, and a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from codingspot import units as units  # registers its controls
from codingspot.ablation import CONTROLS, Controlled, WeightEditor
from codingspot.bench.ranks import block_positions
from codingspot.bench.truth import subset_positions
from codingspot.corpus import Corpus, Domain, pack
from codingspot.evaluation.standing import selectivity_by_losses, stand
from codingspot.importance import ScoreStore, score
from codingspot.models import LoadedModel, OutputHead, ParameterLayout, Units, find_units, load_model
from codingspot.models.shipped import model_source
from codingspot.spot import Spot, WholeUnits, find_spot
from codingspot.spot.selection import count_for
from codingspot.testbed.routing import Subset
from codingspot.testbed.shipped import languages_of
from codingspot.testbed.world import general_english, pure_code

CONTROLS_OF = {"weight": "matched_magnitude", "neuron": "matched_units"}
LANGUAGES = 2
"""How many of the model's languages are read."""
_UNSEEN, _SCORED = 1_000_003, 7  # seeds of texts that training never uses

Changes = dict[str, list[float]]
"""Changes of loss, nats a token, ``code`` and ``general``: of the spot, then of each draw."""


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="testbed-routed")
    parser.add_argument("--of", choices=CONTROLS_OF, default="weight")
    parser.add_argument("--spots", type=int, default=200)
    parser.add_argument("--draws", type=int, default=19)
    parser.add_argument("--null", type=float, nargs="*", default=[], help="doses of null spots, in percent")
    parser.add_argument("--power", type=float, nargs="*", default=[], help="doses of parts of the routed subset")
    parser.add_argument("--tokens", type=int, default=96, help="held-out tokens a domain")
    parser.add_argument("--apart", action="store_true", help="controls share nothing with the spot, as without a test")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        calibration = Calibration(
            options.model, options.of, options.tokens, options.draws, options.apart, Path(scratch)
        )
        for kind, doses in (("null", options.null), ("power", options.power)):
            if doses:
                run(calibration, kind, sorted(doses), options.spots, options.out)


def run(calibration: Calibration, kind: str, doses: Sequence[float], spots: int, out: Path) -> None:
    """Measure the spots of one kind that aren't in ``out`` yet, and print the rates after every tenth."""
    saved = json.loads(out.read_text()) if out.exists() else {}
    found: list[dict[str, Changes]] = saved.setdefault(kind, [])
    start = time.perf_counter()
    for number in range(len(found), spots):
        found.append(calibration.measure(kind, number, doses))
        out.write_text(json.dumps(saved))
        if (number + 1) % 10 == 0 or number + 1 == spots:
            print(f"{kind}, {number + 1} spots, {time.perf_counter() - start:.0f} s", flush=True)
            for line in rates(found):
                print(f"  {line}", flush=True)


def rates(found: Sequence[dict[str, Changes]]) -> Iterator[str]:
    """For each dose, and each spot and draw at its own best one, how often p is at most 5%, and what draws do."""
    doses = list(found[0])
    for name, chosen in [*((dose, [dose]) for dose in doses), ("best of all", doses)]:
        counts = {
            what: sum(_outside([spot[dose] for dose in chosen], selective) for spot in found)
            for what, selective in {"specific": selectivity_by_losses, "without the limit": _difference}.items()
        }
        drawn = [sorted(change for spot in found for dose in chosen for change in spot[dose][of][1:]) for of in _KINDS]
        harm = ", ".join(
            f"{of} {each[len(each) // 20]:+.2f} to {each[-1 - len(each) // 20]:+.2f}"
            for of, each in zip(_KINDS, drawn, strict=True)
        )
        said = ", ".join(f"{what} {rate(count, len(found))}" for what, count in counts.items())
        yield f"{name}: {said}; 90% of draws change the loss of {harm}"


_KINDS = ("code", "general")


def _difference(code: Sequence[float], general: Sequence[float]) -> float:
    return code[0] - general[0]


def _outside(doses: Sequence[Changes], selective: Callable[[list[float], list[float]], float | None]) -> bool:
    members = range(len(doses[0]["code"]))
    spot, *draws = (
        [selective([at["code"][member]], [at["general"][member]]) or 0.0 for at in doses] for member in members
    )
    return stand(spot, draws).outside


def rate(hits: int, of: int) -> str:
    """A rate with its 95% interval by Wilson's score."""
    z, p = 1.959964, hits / of
    centre, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = ((centre + side * half) / (1 + z * z / of) for side in (-1, 1))
    return f"{hits} of {of} = {p:.3f} ({max(0.0, low):.3f} to {high:.3f})"


class Calibration:
    """A model, the spot whose tensors and magnitudes null spots have, and held-out text."""

    def __init__(self, model: str, of: str, tokens: int, draws: int, apart: bool, scratch: Path) -> None:
        source = Path(model_source(model))
        self._apart = apart
        self._loaded: LoadedModel = load_model(source)
        self._draws, self._control = draws, CONTROLS_OF[of]
        self._units = find_units(self._loaded.model, "neuron") if of == "neuron" else None
        self._layout = ParameterLayout.of(self._loaded.model)
        self._languages = languages_of(source)[-LANGUAGES:]
        self._store = self._scored(scratch)
        self._subset = Subset.load(source) if Subset.is_in(source) else None
        domains = [Domain(name, "code", pure_code(name, 40, _UNSEEN)) for name in self._languages]
        domains.append(Domain("english", "general", general_english(40, _UNSEEN)))
        how = {"sequence_length": tokens, "token_budget": tokens, "seed": 0}
        self._texts = [pack(domain, self._loaded.tokenizer, **how) for domain in domains]
        self._head = OutputHead(self._loaded.model)
        self._before = self._means()

    def measure(self, kind: str, number: int, doses: Sequence[float]) -> dict[str, Changes]:
        """By dose, what one spot and the draws of its control do."""
        spot = self._null_spot(number, doses[-1]) if kind == "null" else self._routed_spot(number, doses[-1])
        controlled = Controlled(spot, self._store, self._loaded, apart=self._apart)
        draws = (CONTROLS.bind(self._control, {"seed": 1000 * number + draw}) for draw in range(self._draws))
        drawn = (draw(controlled) for draw in draws)
        found: dict[str, Changes] = {f"{k:g}": {"code": [], "general": []} for k in doses}
        with WeightEditor(self._loaded) as editor:
            for each in (spot, *drawn):
                for k in doses:
                    editor.apply(each.top(k).positions, "zero")
                    for of, change in self._changes().items():
                        found[f"{k:g}"][of].append(change)
        return found

    def _null_spot(self, number: int, k: float) -> Spot:
        if self._units is not None:
            return self._of_units(self._units, torch.arange(len(self._units)), number, k)
        base = find_spot(self._store, recipe="sum", scope="blocks", max_k_percent=k)
        spot = CONTROLS.bind(self._control, {"seed": 10_000_000 + number})(Controlled(base, self._store, self._loaded))
        assert isinstance(spot, Spot)
        return spot

    def _routed_spot(self, number: int, k: float) -> Spot:
        assert self._subset is not None, "parts of a subset are of a model whose subset is known"
        inside, layout = subset_positions(self._loaded.model, self._subset), self._layout
        if self._units is not None:
            held = self._units.sums(lambda name: inside[layout.slice(name)].view(layout.shape(name)))
            return self._of_units(self._units, (held == self._units.sizes).nonzero().squeeze(1), number, k)
        candidates = block_positions(self._layout)
        positions = _some(candidates[inside[candidates]], number)[: count_for(k, self._layout.total)]
        return Spot(positions, torch.zeros(len(positions)), self._layout, {"scope": "blocks"})

    def _of_units(self, units: Units, candidates: Tensor, number: int, k: float) -> Spot:
        order = _some(candidates, number)
        whole = WholeUnits(units.kind, order, units.sizes[order]).within(count_for(k, self._layout.total))
        about = {"scope": "blocks", "k_percent": k, "units": {"kind": units.kind}}
        return Spot(units.positions(whole.numbers), torch.zeros(whole.parameters), self._layout, about, whole)

    def _changes(self) -> dict[str, float]:
        """Mean change of loss over the languages, and that of English, under the present weights."""
        after = self._means()
        code = [after[name] - self._before[name] for name in self._languages]
        return {"code": sum(code) / len(code), "general": after["english"] - self._before["english"]}

    def _means(self) -> dict[str, float]:
        """Mean loss of each domain."""
        with torch.no_grad():
            sums = {text.domain: float(self._head.text_loss(text.input_ids)) for text in self._texts}
        return {text.domain: sums[text.domain] / text.predicted_tokens for text in self._texts}

    def _scored(self, scratch: Path) -> ScoreStore:
        """Taylor scores of a few thousand tokens, by which the real spot is found."""
        code = [Domain(name, "code", pure_code(name, 60, _SCORED)) for name in self._languages]
        corpus = Corpus("scored", (*code, Domain("english", "general", general_english(60, _SCORED))))
        return score(self._loaded, corpus, scratch / "scores", sequence_length=256, token_budget=2048)


def _some(candidates: Tensor, seed: int) -> Tensor:
    """The candidates in a random order."""
    return candidates[torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed))]


if __name__ == "__main__":
    main()
