from collections.abc import Iterator
from functools import partial

import pytest
import torch

from codingspot.estimation import Speeds, estimate, measure_speeds, slower_than_float32, speed, stage_seconds
from codingspot.study import parse_study

STUDY = """
name: small
scoring: {token_budget: 512, sequence_length: 128, micro_batch_tokens: 256, draws: 1}
spots: [{name: paper, k_percent: [1]}]
evaluation: {code: [], general: [{name: testbed_arithmetic, limit: 2}, hellaswag], other: [], batch_tokens: 512}
"""


def test_times_are_work_over_speed() -> None:
    found = estimate(parse_study(STUDY, "small.yaml"))
    seconds = stage_seconds(found, Speeds(scoring=100, reading=50, generation=5, selection=1000))
    losses, sums = found.evaluation["held-out losses"], found.evaluation["testbed_arithmetic"]
    assert losses is not None
    assert sums is not None
    languages = found.domains - 1
    assert seconds == {
        "scoring": pytest.approx(found.tokens / 100),
        "selection": pytest.approx(languages * found.footprint.parameters / 1000),
        "held-out losses": pytest.approx(losses.read / 50),
        "testbed_arithmetic": pytest.approx(sums.read / 50 + sums.written / 5),
        "hellaswag": None,
        "total": pytest.approx(sum(each for name, each in seconds.items() if each and name != "total")),
    }


def test_speeds_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_SECONDS", 0.0)
    study = parse_study(STUDY, "small.yaml")
    found = measure_speeds(study, study.model.load())
    assert found.reading > found.scoring > 0  # without a backward pass
    assert found.generation > 0
    assert found.selection > found.reading


def test_a_type_is_as_slow_as_its_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    took = iter([9, 3, 2, 4, 9, 1, 0.5, 2])  # the first of each isn't counted
    monkeypatch.setattr(speed, "perf_counter", partial(next, _begun_and_ended(took)))
    assert slower_than_float32(torch.bfloat16) == 2 / 0.5


def _begun_and_ended(took: Iterator[float]) -> Iterator[float]:
    now = 0.0
    for seconds in took:
        yield now
        now += seconds
        yield now


def test_the_first_time_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 10.0, 11.0, 12.0, 13.0])
    monkeypatch.setattr(speed, "perf_counter", lambda: next(now))
    monkeypatch.setattr(speed, "_SECONDS", 12.5)
    assert speed._rate(iter([7] * 9)) == 7
    slow = iter([0.0, 60.0, 120.0])
    monkeypatch.setattr(speed, "perf_counter", lambda: next(slow))
    assert speed._rate(iter([60] * 9)) == 1
