"""What torchrun starts: every model and way of scoring of a folder, and selection, by all ranks together."""

import sys
from contextlib import nullcontext
from pathlib import Path

from codingspot.cli.app import app
from codingspot.corpus import Corpus
from codingspot.errors import SelectionError, StudyError
from codingspot.importance import ScoreStore, score
from codingspot.models import ranks as of_ranks
from codingspot.models.ranks import process_group
from codingspot.models.section import ModelSection
from codingspot.models.sharding import load_in_shards
from codingspot.spot import candidates, find_spot
from codingspot.spot.recipes import RECIPES, RecipeTraits

SETTINGS = {"sequence_length": 8, "token_budget": 40, "micro_batch_tokens": 24}  # 3 sequences, then 2
WAYS = {
    "corpus": {},
    "microbatch": {"reduction": "microbatch"},
    "sequence": {"reduction": "sequence", "norm": "l2"},
    "fisher": {"estimator": "fisher"},
}
MODELS = ("uneven", "tied")
RUN = 200
"""Parameters that selection reads at once: so few that both ranks have some of a tensor."""
IN_GROUPS = ["--estimator", "wanda", "--keep-dtype", "float16", "--token-budget", "40", "--sequence-length", "8"]
SPOTS = {
    "sum": {"max_k_percent": 5.0},
    "ties": {"recipe": "consensus", "max_k_percent": 32.0, "worst_first": True},
    "per_tensor": {"max_k_percent": 5.0, "per_tensor": True},
    "median": {"max_k_percent": 5.0, "aggregation": "median"},
    **{
        recipe: {"recipe": recipe, "max_k_percent": 5.0, "scope": "blocks"}
        for recipe in ("consensus", "set_difference", "log_ratio", "share", "rank_difference", "orthogonal")
    },
    "cuts": {"recipe": "set_difference", "max_k_percent": 1.0, "general_percent": 60.0, "code_percent": 80.0},
}


def main(folder: Path) -> None:
    corpus = Corpus.load(folder / "corpus")
    with process_group() as ranks:
        for model in MODELS:
            loaded = load_in_shards(ModelSection(id=str(folder / model), device="cpu"), ranks)
            for name, how in WAYS.items():
                score(loaded, corpus, folder / "ranks" / model / name, **SETTINGS, **how)
        for refused in ({"estimator": "wanda"}, {"draws": (folder / "draw",)}):
            try:
                score(loaded, corpus, folder / "refused", **SETTINGS, **refused)
            except StudyError as error:
                sys.stdout.write(f"{error}\n")
        store = ScoreStore.open(folder / "ranks" / "tied" / "corpus")
        candidates._RUN = RUN
        for name, how in SPOTS.items():
            found = find_spot(store, ranks=ranks, **how)
            if ranks.own == 0:
                found.save(folder / f"{name}.safetensors")
            else:
                assert len(found) == 0
        RECIPES.register("of its own", label="of its own", traits=RecipeTraits())(RECIPES["sum"])
        try:
            find_spot(store, ranks=ranks, recipe="of its own", max_k_percent=1.0)
        except SelectionError as error:
            sys.stdout.write(f"{error}\n")
        of_ranks.process_group = lambda: nullcontext(ranks)  # there is one of it in a process
        app(
            ["spot", str(store.folder), "--out", str(folder / "command.safetensors"), "--k", "5"], standalone_mode=False
        )
        score_by_command(folder, folder / "ranks" / "groups", "--domains-per-group", "2")


def score_by_command(folder: Path, out: Path, *options: str) -> None:
    """Score the tied model by an estimator that needs it whole, on the CPU."""
    places = [str(folder / "tied"), "--corpus", str(folder / "corpus"), "--out", str(out)]
    app(["score", *places, *IN_GROUPS, "--device", "cpu", *options], standalone_mode=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
