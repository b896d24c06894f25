import signal

import pytest

from codingspot.errors import WorkerError
from codingspot.study import Workers
from codingspot.study.ray_cluster import Share, connected, shares

PLAIN, GPUS = {"CPU": 8.0}, {"CPU": 32.0, "GPU": 4.0}


@pytest.mark.parametrize(
    ("workers", "machines", "share"),
    [
        (Workers(count=3), [PLAIN], Share(3, 2, 0)),
        (Workers(count=20), [PLAIN], Share(20, 1, 0)),
        (Workers(count=2, threads=3), [PLAIN], Share(2, 3, 0)),
        (Workers(), [PLAIN, PLAIN], Share(2, 8, 0)),
        (Workers(count=3), [PLAIN, {"CPU": 4.0}], Share(3, 2, 0)),
        (Workers(), [GPUS, GPUS], Share(8, 8, 1)),
        (Workers(count=2), [GPUS], Share(2, 16, 1)),
        (Workers(count=9), [GPUS], Share(9, 3, 1 / 3)),
    ],
)
def test_processors_and_gpus_are_shared(workers: Workers, machines: list[dict[str, float]], share: Share):
    assert shares(workers, machines, on_cpu=False, spread=False) == share


def test_a_model_on_the_cpu_takes_no_gpu_and_one_spread_over_gpus_its_part():
    assert shares(Workers(count=2), [GPUS], on_cpu=True, spread=False) == Share(2, 16, 0)
    assert shares(Workers(count=2), [GPUS], on_cpu=False, spread=True) == Share(2, 16, 2)


def test_where_nothing_answers_is_said_in_one_line():
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(WorkerError, match=r"^no Ray cluster can be used at 127.0.0.1:9 .*'ray start --head' printed"):
        connected(Workers(address="127.0.0.1:9")).__enter__()
    assert signal.getsignal(signal.SIGTERM) is handler
    connected(None).__enter__()
