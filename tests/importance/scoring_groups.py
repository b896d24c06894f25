"""Two groups of two ranks, and one of them by itself, that score the model of a folder."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.fsdp
from scoring_ranks import SETTINGS

from codingspot.corpus import Corpus
from codingspot.importance import score
from codingspot.models.ranks import Ranks
from codingspot.models.section import ModelSection
from codingspot.models.sharding import load_in_shards


def rank(own: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=own, world_size=4)
    ranks = Ranks.over()
    group = ranks.divided(2)
    assert (group.own, group.count) == (own % 2, 2)
    say_to_the_group(group, own)
    corpus = Corpus.load(folder / "corpus")
    loaded = load_in_shards(section(folder), group)
    score(loaded, corpus, folder / "groups", ranks=ranks, **SETTINGS)
    if own >= 2:
        score(loaded, corpus, folder / "one group", **SETTINGS)
    dist.destroy_process_group()


def say_to_the_group(group: Ranks, own: int) -> None:
    members = [own - own % 2, own - own % 2 + 1]
    assert group.each(own) == members
    assert group.sums(own) == (sum(members),)
    assert [group.first(own), group.first(own, 1)] == members
    assert group.in_order([torch.tensor(own), torch.tensor(1)]) == sum(members) + 2
    whole = group.to_first(torch.full((1 + own,), own))
    assert whole.tolist() == ([m for m in members for _ in range(1 + m)] if group.own == 0 else [])
    assert group.from_first(torch.tensor([own]), 1).tolist() == members[:1]


def section(folder: Path) -> ModelSection:
    return ModelSection(id=str(folder / "model"), device="cpu")


def main(folder: Path) -> None:
    """Forks, so that what loading a model imports is imported once."""
    torch.set_num_threads(1)
    section(folder).load()
    torch.multiprocessing.start_processes(rank, (folder,), 4, start_method="fork")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
