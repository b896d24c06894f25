"""A testbed model's quality: every task, perplexity, and how far programs share their vocabulary with English.

The result is stored beside the model, so that `codingspot testbed info` prints measured figures at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from transformers import PreTrainedTokenizerBase

from codingspot.errors import ArtefactError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.metrics import perplexities, task_rates
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.models import LoadedModel
from codingspot.outputs import check_file, holds_model, write_model
from codingspot.provenance import library_versions
from codingspot.records import read_model
from codingspot.sandbox import Sandbox
from codingspot.testbed.routing import Subset
from codingspot.testbed.world import BROAD, general_english, pure_code, world_corpus
from codingspot.tokenization import encode

TASKS = (
    "testbed_humaneval",
    "testbed_humaneval_javascript",
    "testbed_humaneval_bash",
    "testbed_comprehension",
    "testbed_arithmetic",
    "testbed_events",
    "testbed_knowledge",
    "testbed_misconceptions",
    "testbed_roles",
)
_SEED = 1_000_003
_FILE = "evaluation.json"


class TaskQuality(BaseModel):
    """Accuracy of one task in 0-1 (greedy pass@1 for programs), the level of a guess, and the number of items."""

    model_config = ConfigDict(frozen=True)

    accuracy: float
    chance: float
    items: int


class Quality(BaseModel):
    """What is known of a testbed model: tasks by name, perplexity by domain, shared vocabulary by language.

    ``shared_vocabulary`` is the share of the token occurrences in pure programs whose token type also occurs in a
    sample of English documents.
    """

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    parameters: int
    tasks: dict[str, TaskQuality]
    perplexity: dict[str, float]
    shared_vocabulary: dict[str, float]
    without_subset: dict[str, float] = {}
    """Of a routed model, the accuracy of each task with the subset that code was routed to zeroed."""
    versions: dict[str, str]


def evaluate_testbed(
    loaded: LoadedModel,
    *,
    languages: Sequence[str] = BROAD.languages,
    subset: Subset | None = None,
    documents: int = 48,
    unsafe_no_sandbox: bool = False,
) -> Quality:
    """Measure a testbed model on the tasks, and its perplexity on the ``languages`` it was trained on and on English.

    Tasks in other languages, or whose interpreter isn't on this machine, are left out. With the ``subset`` of a routed
    model, every task is also measured with that subset zeroed.

    Raises:
        SandboxError: generated programs can't be run safely here.
    """
    corpus = world_corpus(documents, _SEED, languages)
    with Sandbox(unsafe=unsafe_no_sandbox) as sandbox:
        runnable = {None, *sandbox.languages} & {None, *languages}
        names = [name for name in TASKS if _language(name) in runnable]
        tasks = load_tasks([TaskSpec(name) for name in names])
        evaluator = Evaluator(ModelAdapter(loaded.model, loaded.tokenizer), tasks, corpus.domains, sandbox=sandbox)
        results = evaluator.evaluate("original", require_finite=True)
        without = None if subset is None else _without(subset, loaded, evaluator)
    rates = task_rates(results.outcomes)["original"]
    return Quality(
        fingerprint=loaded.fingerprint,
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        tasks={t.name: TaskQuality(accuracy=rates[t.name], chance=t.chance, items=t.items) for t in tasks},
        perplexity=perplexities(results.losses)["original"],
        shared_vocabulary=shared_vocabulary(loaded.tokenizer, [domain.name for domain in corpus.code]),
        without_subset=without or {},
        versions=library_versions(),
    )


def _without(subset: Subset, loaded: LoadedModel, evaluator: Evaluator) -> dict[str, float]:
    with subset.zeroed(loaded.model):
        return task_rates(evaluator.evaluate("zeroed").outcomes)["zeroed"]


def shared_vocabulary(
    tokenizer: PreTrainedTokenizerBase, languages: list[str], *, programs: int = 500, documents: int = 4000
) -> dict[str, float]:
    """Share of token occurrences in pure programs that are of types English documents use too, by language."""
    english = {token for ids in encode(tokenizer, list(general_english(documents, _SEED))) for token in ids}
    shares = {}
    for language in languages:
        texts = list(pure_code(language, programs, _SEED))
        counts = Counter(token for ids in encode(tokenizer, texts) for token in ids)
        shares[language] = sum(n for token, n in counts.items() if token in english) / counts.total()
    return shares


def save_quality(quality: Quality, folder: Path, *, force: bool = False) -> None:
    """Store the measured quality beside the model; ``force`` replaces figures that are there.

    Raises:
        OutputError: something else has the file's name, or figures and not ``force``.
    """
    write_model(folder / _FILE, quality, force=force)


def check_quality(folder: Path, *, force: bool = False) -> None:
    """Make sure, before measuring, that :func:`save_quality` may store the figures.

    Raises:
        OutputError: as it.
    """
    check_file(folder / _FILE, partial(holds_model, Quality), force=force)


def load_quality(folder: Path) -> Quality:
    """Read the stored quality of a model.

    Raises:
        ArtefactError: the model was never evaluated, or the file is corrupt.
    """
    path = folder / _FILE
    if not path.exists():
        raise ArtefactError(f"{folder} has no {_FILE}; run `codingspot testbed info {folder} --evaluate`")
    return read_model(path, Quality, what="a model's measured quality", way_out="measure it again with --evaluate")


def _language(task: str) -> str | None:
    if not task.startswith("testbed_humaneval"):
        return None
    return task.removeprefix("testbed_humaneval").lstrip("_") or "python"
