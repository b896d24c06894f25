"""What the learned mask of the shipped testbed model means: the questions of codingspot.learning, with task rates.

    python benchmarks/learned_mask_questions.py uniqueness --out /tmp/questions
    python benchmarks/learned_mask_questions.py families stability --steps 80 --items 40 --out /tmp/questions

Every answer is printed in brief and its tables are written to --out as Parquet. Masks are learned from text of seed
--seed, losses are taken on other text, and the tasks are the testbed's own, which nothing was chosen by. A mask takes
about half a minute and an ablated model a few seconds of two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from codingspot import load_model, shipped_model
from codingspot.ablation import edited
from codingspot.corpus import Corpus, Domain, PackedTokens, pack
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.metrics import task_rates
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.importance import score
from codingspot.learning import (
    Answer,
    Learner,
    LearnSettings,
    Measure,
    RelearnSettings,
    arbitrary_splits,
    domain_losses,
    dose_that_harms,
    each_against_others,
    held_out_in_turn,
    relearning,
    rises,
    shuffled_splits,
    stability,
    uniqueness,
)
from codingspot.models import LoadedModel
from codingspot.sandbox import Sandbox
from codingspot.spot import find_spot
from codingspot.testbed.world import english_families, pure_code, world_corpus

CODE = "testbed_humaneval"
GENERAL = ("arithmetic", "events", "knowledge", "misconceptions", "roles")
LENGTH = 256
OTHER_TEXT = 7_000_001
DOCUMENTS = 700
BRIEF = ("python", "java", "english", "general_text", "pass@1", "general accuracy")


class World:
    """The shipped model, a learner over a corpus, and what every ablated model is measured by."""

    def __init__(self, arguments: argparse.Namespace, sandbox: Sandbox, scratch: Path) -> None:
        self.arguments = arguments
        self.scratch = scratch
        self.loaded: LoadedModel = load_model(shipped_model())
        names = [CODE, *(f"testbed_{family}" for family in GENERAL)]
        tasks = load_tasks([TaskSpec(name, limit=arguments.items) for name in names])
        self._evaluator = Evaluator(ModelAdapter(self.loaded.model, self.loaded.tokenizer), tasks, sandbox=sandbox)

    def learner(self, corpus: Corpus, other: Corpus) -> Learner:
        """A learner over the scored domains of ``corpus``, measured on those of ``other`` and on the tasks."""
        arguments = self.arguments
        store = score(
            self.loaded,
            corpus,
            self.scratch / corpus.fingerprint,
            sequence_length=LENGTH,
            token_budget=arguments.tokens,
            seed=arguments.seed,
        )
        kinds = [domain.kind for domain in corpus.scored]
        times = {"code": 1, "general": max(1, kinds.count("code") // kinds.count("general"))}
        texts = {domain.name: self.packed(domain, arguments.tokens * times[domain.kind]) for domain in corpus.scored}
        return Learner(
            self.loaded,
            store,
            texts,
            self.measure({domain.name: self.packed(domain, 4096) for domain in other.domains}),
            LearnSettings(doses=tuple(arguments.doses), steps=arguments.steps, seed=arguments.seed),
            scope=arguments.scope,
        )

    def packed(self, domain: Domain, tokens: int) -> PackedTokens:
        """Sequences of a domain."""
        return pack(domain, self.loaded.tokenizer, sequence_length=LENGTH, token_budget=tokens, seed=0)

    def measure(self, texts: Mapping[str, PackedTokens]) -> Measure:
        """Losses of these texts, and the task rates: pass@1, each general family, and their mean."""
        losses = domain_losses(self.loaded, texts)

        def measured() -> dict[str, float]:
            rates = task_rates(self._evaluator.evaluate("").outcomes)[""]
            families = {f"accuracy {name}": rates[f"testbed_{name}"] for name in GENERAL}
            mean = sum(families.values()) / len(families)
            return {**losses(), "pass@1": rates[CODE], "general accuracy": mean, **families}

        return measured

    def corpus(self) -> Corpus:
        """The demo's: twelve languages and English, Python held out."""
        return world_corpus(DOCUMENTS, self.arguments.seed)

    def usual(self) -> Learner:
        """A learner over the demo's corpus."""
        return self.learner(self.corpus(), world_corpus(60, OTHER_TEXT))


def ask_uniqueness(world: World) -> Iterator[tuple[str, Answer]]:
    """Three masks, each without the weights of those before; and each without all those could have chosen."""
    learner = world.usual()
    yield "uniqueness", uniqueness(learner)
    yield "uniqueness-shortlists", uniqueness(learner, excluded="shortlist")


def ask_shuffled(world: World) -> Iterator[tuple[str, Answer]]:
    """Random halves of the languages and English against the other half."""
    learner = world.usual()
    domains = [domain.name for domain in learner.store.domains]
    yield "shuffled", arbitrary_splits(learner, shuffled_splits(domains, removed=len(domains) // 2))


def ask_families(world: World) -> Iterator[tuple[str, Answer]]:
    """Each English family against the others and code, beside code against all of them."""
    seed = world.arguments.seed
    corpus, other = (
        Corpus(
            "families",
            (*world_corpus(n, s, languages=("python", "java", "javascript", "rust")).code, *english_families(n, s)),
        )
        for n, s in ((DOCUMENTS, seed), (60, OTHER_TEXT))
    )
    learner = world.learner(corpus, other)
    families = learner.split.kept
    alone = {
        name: replace(split, kept=(*split.kept, *learner.split.removed))
        for name, split in each_against_others(families).items()
    }
    yield "families", arbitrary_splits(learner, {"code": learner.split, **alone})


def ask_stability(world: World) -> Iterator[tuple[str, Answer]]:
    """Five seeds."""
    yield "stability", stability(world.usual())


def ask_held_out(world: World) -> Iterator[tuple[str, Answer]]:
    """Every language but Python, which is always held out, in turn."""
    yield "held-out", held_out_in_turn(world.usual())


def ask_relearning(world: World) -> Iterator[tuple[str, pd.DataFrame]]:
    """The learned mask beside random weights, as many and as broken, and the shortlist it was chosen from.

    As broken: so many that the loss on Python reaches the mask's, or that at which the mask's objective stops (4 nats).
    """
    learner = world.usual()
    loaded, dose = learner.loaded, learner.settings.doses[-1]
    mask = learner.learn(learner.split)[0].spot
    shortlist = learner.shortlist(learner.split)
    python = domain_losses(loaded, {"python": world.packed(Domain("python", "code", pure_code("python", 60, 1)), 4096)})
    with edited(loaded, mask):
        broken = min(python()["python"], learner.settings.code_floor)
    chance = score(
        loaded,
        world.corpus(),
        world.scratch / "random",
        estimator="random",
        sequence_length=LENGTH,
        token_budget=LENGTH,
    )
    random_order = find_spot(chance, scope=learner.scope, max_k_percent=40)
    spots = {
        "learned": mask,
        "random, as many": random_order.top(dose),
        "random, as broken": dose_that_harms(loaded, random_order, python, "python", broken),
        "set difference": shortlist,
    }
    programs = Domain("programs", "code", pure_code("python", 100, OTHER_TEXT + 1))
    texts = {"english": learner.texts["english"], "100 programs": world.packed(programs, 1 << 20)}
    for ablated in ("zero", "free"):
        settings = RelearnSettings(ablated=ablated, learning_rate=world.arguments.learning_rate)
        yield f"relearning-{ablated}", relearning(loaded, spots, texts, learner.measure, settings)


QUESTIONS = {
    "uniqueness": ask_uniqueness,
    "shuffled": ask_shuffled,
    "families": ask_families,
    "stability": ask_stability,
    "held-out": ask_held_out,
    "relearning": ask_relearning,
}


def show(name: str, answer: Answer | pd.DataFrame, out: Path) -> None:
    """Write the tables of an answer, and print them in brief."""
    table = answer.table if isinstance(answer, Answer) else answer
    table.to_parquet(out / f"{name}.parquet", index=False)
    shown = table[table["measure"].isin(BRIEF)]
    value = "value"
    about = ("spot", "text", "ablated", "step", "mask", "split", "seed", "held_out", "k_percent", "parameters")
    columns = [column for column in about if column in table]
    print(f"\n{name}")
    print(shown.pivot_table(index=columns, columns="measure", values=value, sort=False).round(3).to_string())
    if isinstance(answer, Answer):
        answer.overlap.to_parquet(out / f"{name}-overlap.parquet", index=False)
        print(rises(answer.table).round(3).to_string(index=False))
        compared = ["first", "second", "k_percent", "jaccard", "expected_jaccard"]
        if len(answer.overlap):
            print(answer.overlap[compared].round(4).to_string(index=False))


def main() -> None:
    """Parse the arguments and ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="+", choices=QUESTIONS, help="one or more of %(choices)s")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--doses", type=float, nargs="+", default=[0.25, 0.5, 1.0], help="percent of all parameters")
    parser.add_argument("--steps", type=int, default=140, help="most Adam steps a mask")
    parser.add_argument("--tokens", type=int, default=8192, help="tokens a language")
    parser.add_argument("--items", type=int, default=60, help="items a task")
    parser.add_argument("--scope", default="blocks")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="of relearning")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as scratch:
        world = World(arguments, sandbox, Path(scratch))
        for question in arguments.questions:
            for name, answer in QUESTIONS[question](world):
                show(name, answer, arguments.out)


if __name__ == "__main__":
    main()
