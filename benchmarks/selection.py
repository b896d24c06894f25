"""Exact selection of the top k percent: radix selection beside torch.topk, and of scores on disk in bounded memory.

    python benchmarks/selection.py                          # 10^7 keys in memory
    python benchmarks/selection.py --parameters 1e8
    python benchmarks/selection.py --parameters 1e9 --disk  # a score store, read in parts; prints the peak memory

The two run in turn, several times; the ratio is that of their medians. torch.topk gives no order among ties, so the
comparison of results is of keys.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.spot import find_spot
from codingspot.spot.selection import KeyChunk, count_for, select_top

CHUNK = 1 << 20


def scores(parameters: int, seed: int) -> torch.Tensor:
    """Magnitudes over many orders, like those of gradient times weight."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(parameters, generator=generator)
    return normal.mul_(torch.randn(parameters, generator=generator)).abs_().mul_(1e-6)


def timed(function: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def in_memory(parameters: int, k_percent: float, repeats: int) -> None:
    """Radix selection and torch.topk in turn over the same keys."""
    """Radix selection and torch.topk in turn over the same keys."""
    keys = scores(parameters, 0)
    n = count_for(k_percent, parameters)

    def source() -> Iterator[KeyChunk]:
        for start in range(0, parameters, CHUNK):
            yield KeyChunk("scores", start, keys[start : start + CHUNK])

    assert torch.equal(select_top(source, n).keys, torch.topk(keys, n).values)
    radix, topk = [], []
    for _ in range(repeats):
        radix.append(timed(lambda: select_top(source, n)))
        topk.append(timed(lambda: torch.topk(keys, n)))
    ours, theirs = statistics.median(radix), statistics.median(topk)
    print(f"{parameters:,} keys in memory, k = {k_percent}%, {torch.get_num_threads()} threads, {repeats} pairs")
    print(f"radix selection {ours:.3f} s, torch.topk {theirs:.3f} s (medians): {theirs / ours:.1f} times as fast")


def on_disk(parameters: int, k_percent: float, repeats: int, folder: Path) -> None:
    """A spot from a score store of one language, which a process of its own writes."""
    writer = multiprocessing.get_context("spawn").Process(target=write_store, args=(folder / "store", parameters))
    writer.start()
    writer.join()
    store = ScoreStore.open(folder / "store")
    before = peak_megabytes()
    seconds = [timed(lambda: find_spot(store, max_k_percent=k_percent)) for _ in range(repeats)]
    print(f"{parameters:,} scores on disk, k = {k_percent}%: {statistics.median(seconds):.2f} s (median of {repeats})")
    print(f"peak memory {peak_megabytes():.0f} MB, of which {before:.0f} MB before the selection")


def write_store(folder: Path, parameters: int) -> None:
    """A store of one language over 64 tensors."""
    size = parameters // 64
    tensors = {f"model.layers.{layer}.mlp.up_proj.weight": scores(size, layer) for layer in range(64)}
    ScoreStore.write(folder, [NewDomainScores("language", "code", tensors)])


def peak_megabytes() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Parse the arguments and run."""
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=float, default=1e7)
    parser.add_argument("--k-percent", type=float, default=0.25)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--disk", action="store_true", help="select from a score store instead of from memory")
    options = parser.parse_args()
    parameters = int(options.parameters)
    if options.disk:
        with tempfile.TemporaryDirectory() as folder:
            on_disk(parameters, options.k_percent, options.repeats, Path(folder))
    else:
        in_memory(parameters, options.k_percent, options.repeats)


if __name__ == "__main__":
    main()
