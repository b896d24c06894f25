"""What torchrun starts: every model and way of scoring of a folder, by all ranks together."""

import sys
from pathlib import Path

from codingspot.corpus import Corpus
from codingspot.errors import StudyError
from codingspot.importance import score
from codingspot.models.ranks import process_group
from codingspot.models.section import ModelSection
from codingspot.models.sharding import load_in_shards

SETTINGS = {"sequence_length": 8, "token_budget": 64, "micro_batch_tokens": 24}
WAYS = {
    "corpus": {},
    "microbatch": {"reduction": "microbatch"},
    "sequence": {"reduction": "sequence", "norm": "l2"},
    "fisher": {"estimator": "fisher"},
}
MODELS = ("uneven", "tied")


def main(folder: Path) -> None:
    corpus = Corpus.load(folder / "corpus")
    with process_group():
        for model in MODELS:
            loaded = load_in_shards(ModelSection(id=str(folder / model), device="cpu"))
            for name, how in WAYS.items():
                score(loaded, corpus, folder / "ranks" / model / name, **SETTINGS, **how)
        for refused in ({"estimator": "wanda"}, {"draws": (folder / "draw",)}):
            try:
                score(loaded, corpus, folder / "refused", **SETTINGS, **refused)
            except StudyError as error:
                sys.stdout.write(f"{error}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
