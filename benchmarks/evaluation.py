"""Evaluation beside lm-evaluation-harness: within one cell, and over a sweep of edited weights.

    python benchmarks/evaluation.py                         # 100 M random parameters
    python benchmarks/evaluation.py --quick                 # the shipped model, fewer items
    python benchmarks/evaluation.py --data ../shared/data   # where the benchmarks' rows are

Both have the same model, items, prompts and threads, in float32.

1. Within one cell, each multiple-choice task in turn: lm-eval's HFLM at several batch sizes, the fastest of which
   counts, and the project's adapter, tokenising included. Log-likelihoods, choices and greedy texts are compared.
2. A sweep of cells. Ours is one process that edits the weights in place. Theirs is one process a cell, on a
   checkpoint saved beforehand (saving isn't counted), at its fastest batch size, and spared the index of its own
   tasks, which takes it another seven seconds of processor time. Every item's outcome is compared.

Processor seconds are given beside wall-clock seconds, for machines that do other work too.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from codingspot.evaluation.local_data import LocalData, read_rows

MULTIPLE_CHOICE = {"hellaswag": 0, "winogrande": 0, "mmlu_virology": 5}
GENERATED = "gsm8k"
FEW_SHOT = {**MULTIPLE_CHOICE, GENERATED: 2}
ITEMS = {"hellaswag": 12, "winogrande": 48, "mmlu_virology": 12, GENERATED: 4}
NEW_TOKENS = 32
BATCH_SIZES = (1, 4, 16)
LARGEST_DOSE = 0.01
TOLERANCE = 1e-4
RELATIVE_TOLERANCE = 5e-7


class Seconds(NamedTuple):
    """Wall-clock and processor time."""

    wall: float
    processor: float

    def plus(self, other: Seconds) -> Seconds:
        """Both together."""
        return Seconds(self.wall + other.wall, self.processor + other.processor)


def main() -> None:
    """Parse the arguments and run, or be the child that runs one sweep or one cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the shipped model and a third of the items")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    if options.child:
        CHILDREN[options.child](json.loads(options.job.read_text()))
        return
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
    os.environ.update(quiet, OMP_NUM_THREADS=str(options.threads))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["HF_DATASETS_CACHE"] = str(root / "cache")
        job = make_job(root, options.data.resolve(), options.quick, options.cells)
        print(f"{options.threads} threads, float32, {job['parameters']:,} parameters; items: {job['items']}")
        job["batch_size"] = within_a_cell(job)
        sweep(job, root)


def make_job(root: Path, data: Path, quick: bool, cells: int) -> dict[str, Any]:
    """Save the model, and write the harness's tasks over the local rows."""
    model = root / "model"
    parameters = save_model(model, data, quick)
    write_harness_tasks(root / "tasks", data)
    items = {name: max(2, count // 3) if quick else count for name, count in ITEMS.items()}
    return {
        "model": str(model),
        "data": str(data),
        "tasks": str(root / "tasks"),
        "items": items,
        "cells": cells,
        "parameters": parameters,
    }


def save_model(folder: Path, data: Path, quick: bool) -> int:
    """Save the shipped model, or 100 M random parameters with a tokenizer trained on the benchmarks' text."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    from codingspot.models import load_model
    from codingspot.testbed.shipped import shipped_model

    disable_progress_bar()
    if quick:
        loaded = load_model(shipped_model())
        model, tokenizer = loaded.model, loaded.tokenizer
    else:
        tokenizer = trained_tokenizer(data)
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=32000,
                hidden_size=640,
                intermediate_size=1728,
                num_hidden_layers=12,
                num_attention_heads=10,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def trained_tokenizer(data: Path) -> Any:
    """Byte-level BPE with 32,000 tokens at most, from the benchmarks' own text, so that prompts have usual lengths."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=32000,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts(data), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe, eos_token="<|endoftext|>", bos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )


def texts(data: Path) -> Iterator[str]:
    """Texts of three of the benchmarks."""
    for file, fields in (
        ("hellaswag/validation.jsonl.gz", ("ctx", "endings")),
        ("gsm8k/train.jsonl.gz", ("question", "answer")),
        ("mmlu/validation.jsonl.gz", ("question", "choices")),
    ):
        for row in read_rows(data / file):
            for field in fields:
                yield row[field] if isinstance(row[field], str) else " ".join(row[field])


def write_harness_tasks(folder: Path, data: Path) -> None:
    """YAML files that include the harness's own and read local rows, as its documentation says to."""
    import lm_eval.tasks
    from lm_eval.tasks import TaskManager

    folder.mkdir()
    for name in FEW_SHOT:
        family = name.partition("_")[0]
        manager = TaskManager(include_path=Path(lm_eval.tasks.__file__).parent / family, include_defaults=False)
        entry = manager.task_index[name]
        rows = LocalData(data / family).rows(entry.cfg, frozenset({str(entry.cfg.get("dataset_name"))}))
        files = {}
        for split, found in rows.items():
            file = folder / f"{name}-{split}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in found))
            files[split] = str(file)
        files.setdefault("train", next(iter(files.values())))  # opened even where no example is shown
        settings: dict[str, Any] = {
            "include": str(entry.yaml_path),
            "task": f"local_{name}",
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": files},
        }
        if name == GENERATED:
            settings["generation_kwargs"] = {**entry.cfg["generation_kwargs"], "max_gen_toks": NEW_TOKENS}
        (folder / f"{name}.yaml").write_text(json.dumps(settings))


def within_a_cell(job: dict[str, Any]) -> int:
    """Time each multiple-choice task by both, compare, and give HFLM's fastest batch size over all of them."""
    from lm_eval.models.huggingface import HFLM

    from codingspot.models import load_model

    loaded = load_model(job["model"])
    tasks = {task.name: task for task in our_tasks(job, loaded.tokenizer)}
    harness = {size: HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=size) for size in BATCH_SIZES}
    ours_anew(loaded, tasks["winogrande"].requests)  # the first pass of all is slow
    spent: dict[str, dict[int, Seconds]] = {"ours": {}} | {str(size): {} for size in BATCH_SIZES}
    print(f"\n{'within one cell':<16}{'requests':>9}{'ours':>9}{'HFLM at batch ' + str(BATCH_SIZES):>28}{'ratio':>9}")
    for number, name in enumerate(MULTIPLE_CHOICE):
        requests = tasks[name].requests
        spent["ours"][number], ours = timed(ours_anew, loaded, requests)
        for size, model in harness.items():
            spent[str(size)][number], theirs = timed(model.loglikelihood, requests, disable_tqdm=True)
            compare_scores(name, ours, theirs)
        assert tasks[name].outcomes(ours) == tasks[name].outcomes(theirs), f"{name}: other outcomes"
        own = spent["ours"][number].wall
        times = min(spent[str(size)][number].wall for size in BATCH_SIZES) / own
        shown = "".join(f"{spent[str(size)][number].wall:>7.1f} s" for size in BATCH_SIZES)
        print(f"{name:<16}{len(requests):>9}{own:>7.1f} s{shown:>28}{times:>8.2f}x")
    totals = {who: Seconds(*map(sum, zip(*seconds.values(), strict=True))) for who, seconds in spent.items()}
    best = min(BATCH_SIZES, key=lambda size: totals[str(size)].processor)
    print(f"all together, HFLM at its best batch size, {best}: {ratio(totals[str(best)], totals['ours'])}")
    requests = tasks[GENERATED].requests
    assert ours_texts(loaded, requests) == harness[best].generate_until(requests, disable_tqdm=True), (
        f"{GENERATED}: other greedy texts"
    )
    print(f"equal log-likelihoods and choices, and {len(requests)} equal greedy texts of {GENERATED}")
    return best


def ratio(theirs: Seconds, ours: Seconds) -> str:
    """How many times as fast ours is, by both clocks."""
    return f"{theirs.wall / ours.wall:.2f}x by wall clock, {theirs.processor / ours.processor:.2f}x by processor time"


def ours_anew(loaded: Any, requests: list[Any]) -> list[tuple[float, bool]]:
    """Answers of a new adapter, which has tokenised nothing yet."""
    from codingspot.evaluation.adapter import ModelAdapter

    return ModelAdapter(loaded.model, loaded.tokenizer).loglikelihood(requests)


def ours_texts(loaded: Any, requests: list[Any]) -> list[str]:
    """Texts of a new adapter."""
    from codingspot.evaluation.adapter import ModelAdapter

    return ModelAdapter(loaded.model, loaded.tokenizer).generate_until(requests)


def compare_scores(name: str, ours: list[tuple[float, bool]], theirs: list[tuple[float, bool]]) -> None:
    """Fail where a log-likelihood or its greediness differs.

    Beyond -200 nats a float32 sum, such as HFLM's, is itself only good to about the absolute tolerance.
    """
    for (a, _), (b, _) in zip(ours, theirs, strict=True):
        assert math.isclose(a, b, abs_tol=TOLERANCE, rel_tol=RELATIVE_TOLERANCE), f"{name}: {a} and {b} nats"
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs], f"{name}: other greedy choices"


def sweep(job: dict[str, Any], root: Path) -> None:
    """Run the sweep as one process of ours and as one process of lm-eval a cell, and compare all outcomes."""
    ours_seconds, ours = run_child("codingspot", job, root)
    wall = processor = 0.0
    answering = Seconds(0.0, 0.0)
    checkpoint = root / "checkpoint"
    for cell in range(job["cells"]):
        save_checkpoint(job, cell, checkpoint)
        seconds, theirs = run_child("harness", {**job, "checkpoint": str(checkpoint)}, root)
        wall, processor = wall + seconds.wall, processor + seconds.processor
        answering = answering.plus(Seconds(*theirs.pop("answering")))
        assert theirs == ours["cells"][cell], f"cell {cell}: other outcomes"
    print(f"\nsweep of {job['cells']} cells over {sum(job['items'].values())} items of {', '.join(FEW_SHOT)}")
    print(f"ours, one process:       {ours_seconds.wall:7.1f} s, {ours_seconds.processor:7.1f} processor seconds")
    print(f"lm-eval, one a cell:     {wall:7.1f} s, {processor:7.1f} processor seconds")
    print(f"everything: {ratio(Seconds(wall, processor), ours_seconds)}")
    print(f"answering requests only: {ratio(answering, Seconds(*ours['answering']))}")


def run_child(role: str, job: dict[str, Any], root: Path) -> tuple[Seconds, dict[str, Any]]:
    """Run this file as a child and give what it took and what it wrote."""
    file, result = root / f"{role}.json", root / f"{role}-result.json"
    file.write_text(json.dumps({**job, "result": str(result)}))
    before, start = processor_seconds(), time.perf_counter()
    with (root / "log").open("w") as log:
        subprocess.run([sys.executable, __file__, "--child", role, "--job", str(file)], check=True, stderr=log)
    spent = Seconds(time.perf_counter() - start, processor_seconds() - before)
    return spent, json.loads(result.read_text())


def codingspot_child(job: dict[str, Any]) -> None:
    """All cells in one process: one model, edited in place."""
    from codingspot.ablation import WeightEditor
    from codingspot.evaluation.adapter import ModelAdapter
    from codingspot.evaluation.evaluator import Evaluator
    from codingspot.models import load_model

    loaded = load_model(job["model"])
    tasks = our_tasks(job, loaded.tokenizer)
    evaluator = Evaluator(ModelAdapter(loaded.model, loaded.tokenizer), tasks)
    positions = edited_positions(job["parameters"])
    cells, answering = [], Seconds(0.0, 0.0)
    with WeightEditor(loaded) as editor:
        for cell in range(job["cells"]):
            editor.apply(positions[: dose(job, cell)])
            seconds, results = timed(evaluator.evaluate, str(cell))
            answering = answering.plus(seconds)
            found = results.outcomes.groupby("task")["outcome"]
            cells.append({str(task): values.tolist() for task, values in found})
    Path(job["result"]).write_text(json.dumps({"cells": cells, "answering": answering}))


def harness_child(job: dict[str, Any]) -> None:
    """One cell by lm-eval's own evaluation of a checkpoint."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    watch = Stopwatch()
    HFLM.loglikelihood = watch.around(HFLM.loglikelihood)
    HFLM.generate_until = watch.around(HFLM.generate_until)
    manager = TaskManager(include_path=job["tasks"], include_defaults=False)
    model = HFLM(pretrained=job["checkpoint"], dtype="float32", device="cpu", batch_size=job["batch_size"])
    found = {}
    for name, count in job["items"].items():
        few_shot = FEW_SHOT[name]
        results = simple_evaluate(
            model, tasks=[f"local_{name}"], num_fewshot=few_shot, limit=count, task_manager=manager, bootstrap_iters=0
        )
        metric = "exact_match" if name == GENERATED else "acc"
        samples = [s for s in results["samples"][f"local_{name}"] if s["filter"] in ("none", "strict-match")]
        found[name] = [float(s[metric]) for s in sorted(samples, key=lambda s: s["doc_id"])]
    Path(job["result"]).write_text(json.dumps({**found, "answering": watch.seconds}))


class Stopwatch:
    """Adds up what functions take."""

    def __init__(self) -> None:
        self.seconds = Seconds(0.0, 0.0)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed at every call."""

        def timed_function(*arguments: Any, **options: Any) -> Any:
            spent, result = timed(function, *arguments, **options)
            self.seconds = self.seconds.plus(spent)
            return result

        return timed_function


def our_tasks(job: dict[str, Any], tokenizer: Any) -> list[Any]:
    """The tasks over the local rows."""
    from codingspot.evaluation.tasks import TaskSpec, load_tasks

    specs = [
        TaskSpec(
            name,
            data=Path(job["data"]) / name.partition("_")[0],
            limit=job["items"][name],
            few_shot=few_shot,
            max_new_tokens=NEW_TOKENS if name == GENERATED else None,
        )
        for name, few_shot in FEW_SHOT.items()
    ]
    return load_tasks(specs, tokenizer=tokenizer)


def edited_positions(parameters: int) -> Any:
    """Random parameters, as many as the largest dose."""
    import torch

    generator = torch.Generator().manual_seed(0)
    drawn = torch.unique(torch.randint(parameters, (int(LARGEST_DOSE * parameters),), generator=generator))
    return drawn[torch.randperm(len(drawn), generator=generator)]


def dose(job: dict[str, Any], cell: int) -> int:
    """How many parameters a cell has zeroed: none in the first, the most in the last."""
    return int(LARGEST_DOSE * job["parameters"] * cell / job["cells"])


def save_checkpoint(job: dict[str, Any], cell: int, folder: Path) -> None:
    """Save the edited weights of a cell, for lm-eval."""
    from codingspot.ablation import WeightEditor
    from codingspot.models import load_model

    loaded = load_model(job["model"])
    with WeightEditor(loaded) as editor:
        editor.apply(edited_positions(job["parameters"])[: dose(job, cell)])
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)


def timed(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Seconds, Any]:
    """What one call takes, and its result."""
    start, before = time.perf_counter(), time.process_time()
    result = function(*arguments, **options)
    return Seconds(time.perf_counter() - start, time.process_time() - before), result


def processor_seconds() -> float:
    """Processor time of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


CHILDREN = {"codingspot": codingspot_child, "harness": harness_child}

if __name__ == "__main__":
    main()
