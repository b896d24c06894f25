"""Cells over workers: Ray actors, each with the study's model in a process of its own.

1. A worker loads what the study works on, checks that it is what the run was begun with, and reads spots from the run
   directory.
2. Whichever is free is given the next cell, and saves it there as one process does, by a rename. Nothing but what cells
   are called goes between processes, so that all of them must see the same directory.
3. The cell of a worker that dies is given to another, and a new worker takes the place of the old.

A cell depends on the weights, the study and the original's results alone, not on what its worker evaluated before:
results are those of one process with as many threads.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import torch

from codingspot.errors import CodingSpotError, FingerprintError, WorkerError
from codingspot.study.cells import Cell
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.evaluating import CellRunner, Step
from codingspot.study.inputs import load_inputs
from codingspot.study.ray_cluster import Workers, shares
from codingspot.study.saved_spots import SavedSpots

_DEATHS: Final = 3
"""Workers that may die over one cell, or as they start."""


class WorkerPool:
    """A study's workers, where Ray is :func:`~codingspot.study.ray_cluster.connected`. A context: then they are gone.

    Args:
        workers: how many, and how large.
        study: says how cells are evaluated.
        directory: where spots are read and cells saved.
        spots: names of the spots and controls.
        unsafe: run programs without a sandbox.
    """

    def __init__(
        self, workers: Workers, study: Study, directory: RunDirectory, spots: Sequence[str], *, unsafe: bool = False
    ) -> None:
        import ray as library

        ray: Any = library
        machines = [each["Resources"] for each in ray.nodes() if each["Alive"]]
        on_cpu = study.model.device is not None and study.model.device.startswith("cpu")
        share = shares(workers, machines, on_cpu=on_cpu, spread=study.model.device_map is not None)
        work = _Work(study, directory.path.resolve(), tuple(spots), Path.cwd(), share.threads, unsafe)
        actor = ray.remote(_Worker)
        self._ray, self._directory = ray, directory
        self._new: Callable[[], Any] = lambda: actor.options(num_cpus=share.threads, num_gpus=share.gpus).remote(work)
        self._count = share.count
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Cell | None]] = {}  # with nothing to evaluate while they start
        self._deaths: Counter[str] = Counter()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            with suppress(self._ray.exceptions.RayError):
                self._ray.get([worker.close.remote() for worker in self._idle])
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            self._ray.kill(worker)

    def each(self, step: Step, cells: Sequence[Cell], begun: Callable[[Cell], None]) -> Iterator[Cell]:
        """Take a step of each cell, and give every cell when it is taken; ``begun`` hears when a worker was given it.

        Where the original model is to be run it is first, alone: other cells read its results.

        Raises:
            WorkerError: workers die over one cell, or as they start.
            CodingSpotError: whatever an edit or the evaluation refuses.
        """
        unfinished = len(cells)
        first = [cell for cell in cells if cell.spot is None] if step == "run" else []
        for part in (first, [cell for cell in cells if cell not in first]):
            left = deque(part)
            while left or any(cell is not None for _, cell in self._busy.values()):
                while left and self._idle:
                    cell = left.popleft()
                    worker = self._idle.pop()
                    self._busy[worker.take.remote(step, cell)] = worker, cell
                    begun(cell)
                for _ in range(len(self._idle) + len(self._busy), min(self._count, unfinished)):
                    self._start()
                done, lost = self._next()
                if lost:
                    left.extendleft([] if done is None else [done])
                elif done is not None:
                    unfinished -= 1
                    self._directory.tell(done)
                    yield done

    def _start(self) -> None:
        worker = self._new()
        self._busy[worker.open.remote()] = worker, None

    def _next(self) -> tuple[Cell | None, bool]:
        """The cell of the next worker that ends what it does, and whether by dying."""
        (ready,), _ = self._ray.wait(list(self._busy))
        worker, cell = self._busy.pop(ready)
        try:
            self._ray.get(ready)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError):
            self._ray.kill(worker)
            over = "as they started" if cell is None else f"over cell {cell.name}"
            self._deaths[over] += 1
            if self._deaths[over] == _DEATHS:
                raise WorkerError(
                    f"{_DEATHS} workers died {over}; see whether memory holds so many models, or ask for fewer workers"
                ) from None
            return cell, True
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, CodingSpotError) else error from None
        self._idle.append(worker)
        return cell, False


@dataclass(frozen=True)
class _Work:
    """What a worker is told."""

    study: Study
    directory: Path
    spots: tuple[str, ...]
    cwd: Path
    threads: int
    unsafe: bool


class _Worker:
    """One process with the study's model."""

    def __init__(self, work: _Work) -> None:
        self._work = work

    def open(self) -> None:
        """Load what cells need."""
        work = self._work
        if not work.directory.is_dir():
            raise WorkerError(f"{work.directory} isn't there on every machine; give an --out that all of them share")
        with suppress(OSError):  # whatever the study names by relative paths will be missed by name
            os.chdir(work.cwd)
        torch.set_num_threads(work.threads)
        inputs, directory = load_inputs(work.study, lambda _: None), RunDirectory(work.directory)
        known = directory.inputs()
        differing = [name for name, value in inputs.fingerprints.items() if known.get(name) != value]
        if differing:
            raise FingerprintError(
                f"a worker has another {' and '.join(differing)} than the run; give all the same files"
            )
        spots = SavedSpots(directory)
        for name in work.spots:
            spots.resume(name)
        self._runner = CellRunner(
            work.study, inputs.loaded, inputs.tasks, inputs.evaluation, spots, directory, unsafe=work.unsafe
        )

    def take(self, step: Step, cell: Cell) -> None:
        """Take a step of a cell."""
        getattr(self._runner, step)(cell)

    def close(self) -> None:
        """End what was begun beside the model, such as a sandbox."""
        self._runner.__exit__(None, None, None)
