"""A testbed model's quality: every task, perplexity, and how far programs share their vocabulary with English.

The result is stored beside the model, so that `codingspot testbed info` prints measured figures at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.metrics import perplexities, task_rates
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.models import LoadedModel
from codingspot.provenance import library_versions
from codingspot.sandbox import Sandbox
from codingspot.testbed.quality import Quality, TaskQuality
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


def _language(task: str) -> str | None:
    if not task.startswith("testbed_humaneval"):
        return None
    return task.removeprefix("testbed_humaneval").lstrip("_") or "python"
