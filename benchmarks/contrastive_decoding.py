"""Does code get better when what the model is without its spot is subtracted from what it is?

    python benchmarks/contrastive_decoding.py --model testbed-routed --seeds 1 --out contrastive.json

Programs in each language are decoded from (1 + beta) s - beta s without the spot, where s are logits, over the tokens
whose probability is at least --alpha of the most probable one's. The spots are 2% of all parameters in single weights
(set difference) and 1% in whole neurons (rms ratio); their controls are random weights of the same tensors and random
neurons of the same layers. Differences of pass@1 from plain decoding have 95% bootstrap intervals over the same
problems; McNemar's p is corrected over all rows of a table (Holm).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from codingspot.ablation import WeightEditor
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.contrastive import Contrast
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.paired import compare_cells
from codingspot.evaluation.resampling import Resampling
from codingspot.evaluation.statistics import percentile_intervals
from codingspot.evaluation.tasks import EvaluationTask, TaskSpec, load_tasks
from codingspot.sandbox import Sandbox
from codingspot.spot import Spot
from editing_doses import spots_of
from uses import World, copied, markdown, parser, worlds

TASKS = {"Python": "testbed_humaneval", "JavaScript": "testbed_humaneval_javascript", "Bash": "testbed_humaneval_bash"}
PLAIN = "plain"


def answered(
    world: World, tasks: list[EvaluationTask], sandbox: Sandbox, about: Mapping[str, Any], **contrasted: Any
) -> Iterator[dict[str, Any]]:
    """The outcomes of all problems, a row a task."""
    adapter = ModelAdapter(world.loaded.model, world.loaded.tokenizer, **contrasted)
    outcomes = pd.DataFrame([vars(row) for row in Evaluator(adapter, tasks, sandbox=sandbox).outcomes(tasks)])
    for task, own in outcomes.groupby("task", sort=False):
        yield {**about, "task": task, "outcomes": own["outcome"].tolist()}


def contrasted(
    world: World, tasks: list[EvaluationTask], sandbox: Sandbox, about: Mapping[str, Any], spot: Spot, how: Contrast
) -> Iterator[dict[str, Any]]:
    """The same with the model without a spot subtracted."""
    amateur = copied(world.loaded)
    WeightEditor(amateur).apply(spot)
    yield from answered(world, tasks, sandbox, {**about, "beta": how.beta}, amateur=amateur.model, contrast=how)


def show(table: pd.DataFrame) -> Iterator[str]:
    """For each task of each seed its pass@1 in plain decoding, and a table: a row a spot and beta."""
    for (task, seed), own in table.groupby(["task", "seed"], sort=False):
        names = {name: f"{row.spot}, {row.what}, {row.beta:g}" for name, row in own.iterrows() if row.spot != PLAIN}
        items = own.assign(cell=[names.get(name, PLAIN) for name in own.index]).explode("outcomes", ignore_index=True)
        items = items.assign(item=items.groupby("cell").cumcount(), outcome=items["outcomes"].astype(float))
        found = Resampling(items, original=PLAIN, chance={str(task): 0.0}).difference(str(task))
        intervals = dict(zip(dict.fromkeys(items["cell"]), percentile_intervals(found.drawn), strict=True))
        tests = compare_cells(items, [(name, PLAIN) for name in names.values()], [str(task)]).set_index("first")
        means = items.groupby("cell")["outcome"].mean()
        change = {name: f"{means[name] - means[PLAIN]:+.3f}" for name in names.values()}
        rows = [
            {
                "without": f"{own.loc[index, 'spot']}, {own.loc[index, 'what']}",
                "beta": f"{own.loc[index, 'beta']:g}",
                "pass@1": f"{means[name]:.3f}",
                "change": f"{change[name]} ({intervals[name].low:+.3f} to {intervals[name].high:+.3f})",
                "won": tests.loc[name, "first_only"],
                "lost": tests.loc[name, "second_only"],
                "p": f"{tests.loc[name, 'corrected']:.2f}",
            }
            for index, name in names.items()
        ]
        yield f"{task}, seed {seed}: {means[PLAIN]:.3f}\n\n{markdown(pd.DataFrame(rows))}"


def main() -> None:
    """Parse the arguments and run."""
    options = parser(__doc__, "contrastive.json")
    options.set_defaults(seeds=1)
    options.add_argument("--languages", nargs="+", choices=TASKS, default=list(TASKS))
    options.add_argument("--betas", nargs="+", type=float, default=[0.25, 0.5, 1.0])
    options.add_argument("--alpha", type=float, default=0.1)
    options.add_argument("--draws", type=int, default=1, help="of each control")
    options.add_argument("--items", type=int, default=164, help="problems of each language")
    parsed = options.parse_args()
    with worlds(parsed) as (saved, every), Sandbox() as sandbox:
        tasks = load_tasks([TaskSpec(TASKS[name], limit=parsed.items) for name in parsed.languages])
        for world in every:
            about = {"seed": world.seed, "spot": PLAIN, "what": PLAIN, "beta": 0.0}
            saved.add((world.seed, PLAIN), partial(answered, world, tasks, sandbox, about))
            for name, what, spot in spots_of(world, parsed.draws):
                about = {"seed": world.seed, "spot": name, "what": what}
                for beta in parsed.betas:
                    how = Contrast(beta, parsed.alpha)
                    make = partial(contrasted, world, tasks, sandbox, about, spot, how)
                    saved.add((world.seed, name, what, beta), make)
        for part in show(saved.table):
            print(f"\n{part}")


if __name__ == "__main__":
    main()
