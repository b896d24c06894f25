"""The package on one GPU, over a random model of Llama-3.1-8B's shape in bfloat16; about four minutes on an H100.

    python benchmarks/gpu.py --out gpu.json
    python benchmarks/gpu.py --shape tiny --device cpu                # everything once, in seconds
    python benchmarks/gpu.py --sections scoring --max-logits 67108864

Each section measures one part of the package, where there is one beside what does the same without it, in turn. A
section that fails, or for which no time is left, is recorded with the reason and stops no other. Figures are medians;
the device's work is waited for before a clock is read. What was measured so far is written after every section.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Weights, accumulators and activations of an 8 B model leave no room for gaps between them.
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")

import torch
import torch.nn.functional as F
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from codingspot.corpus import Domain, PackedTokens
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.perplexity import HeldOutLoss
from codingspot.importance import ESTIMATORS, DomainInput, NewDomainScores, ScoreStore
from codingspot.models import OutputHead, output_head, unique_parameters
from codingspot.spot import find_spot
from codingspot.spot.selection import KeyChunk, count_for, select_top
from paired import in_turn, timed
from switching import measured

K_PERCENT = (0.25, 1.0, 0.0025)  # the paper's first: there may be no time for all
CHUNK = 1 << 20


@dataclass(frozen=True)
class Shape:
    """A model, and how much text each section gives it."""

    config: dict[str, Any]
    length: int
    """Tokens of a sequence that is scored, and of a held-out document."""
    micro_batches: tuple[int, ...]
    """Sequences scored at once."""
    sequences: int
    documents: int
    context: int
    """Tokens that all questions of a task begin with; a prompt to be continued has half as many."""
    questions: int
    prompts: int
    new_tokens: int
    harness_batches: tuple[int, ...]
    pairs: int


SHAPES = {
    "tiny": Shape(
        {
            **{"vocab_size": 512, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2},
            **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512},
        },
        *(32, (1, 2), 4, 4, 16, 4, 4, 8, (4,), 1),
    ),
    "8b": Shape(
        {
            **{"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32},
            **{"num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072},
            "rope_parameters": {
                **{"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0},
                **{"high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
            },
        },
        *(2048, (1, 2, 4), 16, 16, 512, 32, 64, 64, (8, 32), 3),
    ),
}


@dataclass(frozen=True)
class Row:
    """One figure and its unit."""

    what: str
    figure: float
    unit: str


@dataclass
class Section:
    """What a section gave, why it gave no more, and the seconds it took."""

    rows: list[Row] = field(default_factory=list)
    stopped: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Bench:
    """The model and its text, where sections are run, and until when."""

    shape: Shape
    model: Any
    device: torch.device
    scratch: Path
    deadline: float

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.deadline - time.perf_counter()

    @property
    def parameters(self) -> int:
        """How many the model has."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def ids(self, rows: int, length: int, seed: int = 0) -> torch.Tensor:
        """Random tokens, int64 [rows, length], none of them the end-of-text token."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(1, self.model.config.vocab_size, (rows, length), generator=generator)

    def median(self, function: Callable[[], object], repeats: int = 3) -> float:
        """Median seconds of calls, after one that isn't counted."""
        function()
        return statistics.median(timed(function, self.device) for _ in range(repeats))

    def peak(self, function: Callable[[], object]) -> float:
        """Largest GB that tensors take on the GPU during a call; 0 on a CPU."""
        if self.device.type != "cuda":
            function()
            return 0.0
        free()
        torch.cuda.reset_peak_memory_stats(self.device)
        timed(function, self.device)
        return torch.cuda.max_memory_allocated(self.device) / 1e9


Rows = Iterator[Row]


def scoring(bench: Bench) -> Rows:
    """Taylor saliency beside a bare forward and backward pass that drops its gradients after every micro-batch."""
    shape, model = bench.shape, bench.model
    tokens = PackedTokens("random", bench.ids(shape.sequences, shape.length), documents=1, duplicates=0)
    estimator = ESTIMATORS.bind("taylor", {})
    for sequences in shape.micro_batches:
        domain = DomainInput(model, tokens, unique_parameters(model), sequences * shape.length)

        def bare(domain: DomainInput = domain) -> None:
            for batch in domain.micro_batches():
                ids = batch.to(bench.device)
                logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
                F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="sum").backward()
                model.zero_grad(set_to_none=True)

        def ours(domain: DomainInput = domain) -> None:
            estimator(domain)

        at_once = f"{sequences} x {shape.length} tokens at once"
        fits = True
        for name, function in (("bare", bare), ("scoring", ours)):
            try:
                yield Row(f"{name}, {at_once}: peak memory", bench.peak(function), "GB")
            except torch.OutOfMemoryError:
                yield Row(f"{name}, {at_once}: out of memory", 1, "")
                fits = False
            model.zero_grad(set_to_none=True)
            free()
        if not fits:
            return
        pairs = in_turn(bare, ours, shape.pairs, bench.device)
        ratio = statistics.median(pairs.ratios)
        yield Row(f"bare forward and backward, {at_once}", tokens.tokens / pairs.bare_seconds, "tokens/s")
        yield Row(f"scoring, {at_once}", tokens.tokens / pairs.bare_seconds / ratio, "tokens/s")
        yield Row(f"scoring / bare, {at_once}", ratio, "x the time")
        yield Row(f"least of {shape.pairs} pairs, {at_once}", min(pairs.ratios), "x the time")
        yield Row(f"most of {shape.pairs} pairs, {at_once}", max(pairs.ratios), "x the time")


def head_alone(bench: Bench) -> Rows:
    """The loss and its gradients from final hidden states: ours, whole logits, and Liger's kernel where it is there."""
    head = OutputHead(bench.model)
    (weight,) = head.weights
    count, width = 2 * bench.shape.length, weight.shape[1]
    generator = torch.Generator(bench.device).manual_seed(0)
    states = torch.randn(count, width, generator=generator, device=bench.device).to(weight.dtype).requires_grad_()
    targets = bench.ids(1, count)[0].to(bench.device)
    contenders: dict[str, Callable[[], torch.Tensor]] = {
        "whole logits": lambda: F.cross_entropy(F.linear(states, weight).float(), targets, reduction="sum"),
        "ours": lambda: head.summed_loss(states, targets),
    }
    if bench.device.type == "cuda" and find_spec("liger_kernel") is not None:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

        fused = LigerFusedLinearCrossEntropyLoss(reduction="sum")
        contenders["Liger's fused kernel"] = lambda: fused(weight, states, targets)

    def gradients(loss: Callable[[], torch.Tensor]) -> list[torch.Tensor]:
        return list(torch.autograd.grad(loss(), [states, weight]))

    expected = [each.float() for each in gradients(contenders["whole logits"])]
    for name, loss in contenders.items():
        yield Row(f"{count} positions, {name}: peak memory", bench.peak(partial(gradients, loss)), "GB")
        yield Row(f"{count} positions, {name}", 1000 * bench.median(partial(gradients, loss)), "ms")
        gaps = [
            float((found.float() - right).norm() / right.norm())
            for found, right in zip(gradients(loss), expected, strict=True)
        ]
        yield Row(f"{name}: distance from whole logits' gradients of states", gaps[0], "of their norm")
        yield Row(f"{name}: the same of the head's", gaps[1], "of their norm")


def switching(bench: Bench) -> Rows:
    """From dose to dose, to another spot and back, at random positions; every bit must come back."""
    before = [parameter.detach().clone() for parameter in bench.model.parameters()]
    for name, switches in measured(bench.model, bench.parameters, 3).items():
        for dose, seconds in switches.items():
            yield Row(f"{name}, {dose:g}%", 1000 * seconds, "ms")
    same = all(
        torch.equal(now.detach().view(torch.int16), then.view(torch.int16))  # bits, so that -0 isn't 0
        for now, then in zip(bench.model.parameters(), before, strict=True)
    )
    assert same, "weights differ after they were restored"
    yield Row("weights restored bit for bit", 1, "")


def likelihood(bench: Bench) -> Rows:
    """Log-likelihoods beside lm-eval's HFLM: single texts, and questions whose choices share examples and context."""
    shape, tokenizer = bench.shape, words(bench.model.config)
    single = [
        ("loglikelihood", (text(row[:-8]), " " + text(row[-8:])))
        for row in bench.ids(2 * shape.questions, shape.context).tolist()
    ]
    examples = text(bench.ids(1, shape.context, seed=1)[0].tolist())
    shared = [
        ("loglikelihood", (f"{examples} {text(question)}", " " + text(choice)))
        for question in bench.ids(shape.questions, shape.context // 8, seed=2).tolist()
        for choice in bench.ids(4, 8, seed=question[0]).tolist()
    ]
    harness = {n: HFLM(pretrained=bench.model, tokenizer=tokenizer, batch_size=n) for n in shape.harness_batches}
    for name, pairs in (("single texts", single), ("4 choices, shared examples", shared)):
        requests = [Instance(kind, {}, arguments, 0) for kind, arguments in pairs]
        tokens = sum(len(f"{context}{continuation}".split()) for _, (context, continuation) in pairs)
        found: list[list[tuple[float, bool]]] = []
        adapter = ModelAdapter(bench.model, tokenizer)
        adapter.try_batches()
        anew = partial(lambda asked: ModelAdapter(bench.model, tokenizer).loglikelihood(asked), requests)
        contenders: dict[str, Callable[[], Any]] = {
            "ours, tokenised and laid out before": partial(adapter.loglikelihood, requests),
            "ours, anew": anew,
            **{f"HFLM, batch size {n}": partial(each.loglikelihood, requests, True) for n, each in harness.items()},
        }
        for who, function in contenders.items():
            found.append(function())
            yield Row(f"{name}, {who}", tokens / bench.median(function, 1), "tokens/s")
        gaps = [abs(a - b) for (a, _), (b, _) in zip(found[0], found[-1], strict=True)]
        yield Row(f"{name}, largest difference from HFLM", max(gaps), "nats")


def generation(bench: Bench) -> Rows:
    """Greedy texts beside transformers' generate with the same prompts in one batch."""
    shape, tokenizer = bench.shape, words(bench.model.config)
    ids = bench.ids(shape.prompts, shape.context // 2)
    settings = {"until": [], "max_gen_toks": shape.new_tokens, "do_sample": False}
    requests = [Instance("generate_until", {}, (text(row), settings), 0) for row in ids.tolist()]
    adapter = ModelAdapter(bench.model, tokenizer)
    adapter.try_batches()
    new = shape.prompts * shape.new_tokens
    written = sum(len(each.split()) for each in adapter.generate_until(requests))
    prompts = ids.to(bench.device)
    generate = partial(
        bench.model.generate,
        prompts,
        attention_mask=torch.ones_like(prompts),
        do_sample=False,
        max_new_tokens=shape.new_tokens,
        min_new_tokens=shape.new_tokens,
        pad_token_id=0,
    )
    at_once = f"{shape.prompts} prompts of {shape.context // 2} tokens"
    yield Row(f"ours, {at_once}", written / bench.median(partial(adapter.generate_until, requests), 2), "new tokens/s")
    yield Row(f"transformers' generate, {at_once}", new / bench.median(generate, 2), "new tokens/s")


def held_out_loss(bench: Bench) -> Rows:
    """Loss of held-out documents beside forward passes that keep one document's logits whole."""
    shape, tokenizer = bench.shape, words(bench.model.config)
    ids = bench.ids(shape.documents, shape.length - 1)
    loss = HeldOutLoss(
        ModelAdapter(bench.model, tokenizer), [Domain("random", "general", tuple(map(text, ids.tolist())))]
    )

    @torch.no_grad()
    def forward() -> None:
        for row in ids.to(bench.device):
            bench.model(input_ids=row[None], use_cache=False)

    nats = statistics.fmean(document.loss / document.tokens for document in loss.evaluate())
    yield Row("mean loss", nats, "nats a token")
    yield Row("held-out loss", ids.numel() / bench.median(loss.evaluate), "tokens/s")
    yield Row("bare forward, a document at a time", ids.numel() / bench.median(forward), "tokens/s")


def selection_in_memory(bench: Bench) -> Rows:
    """The exact top k percent of as many scores as the model has parameters, in the computer's own memory."""
    scores, start = torch.empty(bench.parameters), 0
    for _, part in random_scores(bench):
        scores[start : (start := start + part.numel())] = part.flatten()

    def source() -> Iterator[KeyChunk]:
        for start in range(0, len(scores), CHUNK):
            yield KeyChunk("scores", start, scores[start : start + CHUNK])

    seconds = 0.0
    for k_percent in K_PERCENT:
        if bench.left < 1.2 * seconds:
            return
        seconds = timed(partial(select_top, source, count_for(k_percent, len(scores))), torch.device("cpu"))
        yield Row(f"top {k_percent:g}% of {len(scores):,} scores in memory", seconds, "s")


def selection_from_disk(bench: Bench) -> Rows:
    """A score store of one domain written to disk, and spots found in it."""
    size = 4 * bench.parameters
    if shutil.disk_usage(bench.scratch).free < 1.2 * size:
        raise RuntimeError(f"{size / 1e9:.0f} GB of scores don't fit on the disk of {bench.scratch}")
    scores = dict(random_scores(bench))
    domain = NewDomainScores("language", "code", scores)
    seconds = timed(partial(ScoreStore.write, bench.scratch / "store", [domain]), bench.device)
    yield Row(f"{size / 1e9:.1f} GB of scores written", seconds, "s")
    del scores, domain
    store = ScoreStore.open(bench.scratch / "store")
    for k_percent in K_PERCENT:
        if bench.left < 1.2 * seconds:
            return
        seconds = timed(partial(find_spot, store, max_k_percent=k_percent), torch.device("cpu"))
        yield Row(f"spot of the top {k_percent:g}% found in the store", seconds, "s")


SECTIONS: dict[str, tuple[Callable[[Bench], Rows], float]] = {
    "scoring": (scoring, 40),
    "output head": (head_alone, 15),
    "switching": (switching, 20),
    "likelihood": (likelihood, 20),
    "generation": (generation, 20),
    "held-out loss": (held_out_loss, 15),
    "selection in memory": (selection_in_memory, 40),
    "selection from disk": (selection_from_disk, 75),
}
"""By name: the function, and the seconds below which it isn't begun at the large shape."""


def random_scores(bench: Bench) -> Iterator[tuple[str, torch.Tensor]]:
    """Magnitudes over many orders, like those of gradient times weight, tensor by tensor on the device."""
    generator = torch.Generator(bench.device).manual_seed(0)
    for name, weight in unique_parameters(bench.model).items():
        drawn = torch.randn(weight.shape, generator=generator, device=bench.device)
        factor = torch.randn(weight.shape, generator=generator, device=bench.device)
        yield name, drawn.mul_(factor).abs_().mul_(1e-6)


def text(tokens: Sequence[int]) -> str:
    """The text whose tokens these are."""
    return " ".join(f"w{token}" for token in tokens)


def words(config: Any) -> Any:
    """A tokenizer of as many words as the model has tokens; the first is the end of text."""
    model = models.WordLevel({f"w{token}": token for token in range(config.vocab_size)}, unk_token="w0")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token="w0", eos_token="w0", pad_token="w0"
    )


def random_model(shape: Shape, device: torch.device) -> Any:
    """The model, drawn on the device in bfloat16 by a seed; in evaluation mode."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with device:
        model = LlamaForCausalLM(LlamaConfig(**shape.config, bos_token_id=0, eos_token_id=0, pad_token_id=0))
    torch.set_default_dtype(torch.float32)
    return model.eval()


def free() -> None:
    """Give back what isn't used any more, such as after running out of memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def run(section: Callable[[Bench], Rows], needed: float, bench: Bench) -> Section:
    """One section, whatever becomes of it; its rows are printed as they come."""
    found, start = Section(), time.perf_counter()
    if bench.left < needed:
        found.stopped = f"not begun: {bench.left:.0f} s were left and it takes {needed:.0f}"
        return found
    try:
        for row in section(bench):
            found.rows.append(row)
            print(f"  {row.what:<68}{row.figure:>14,.4g} {row.unit}", flush=True)
    except Exception as error:  # whatever it is, the other sections are wanted
        found.stopped = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    bench.model.zero_grad(set_to_none=True)
    free()
    found.seconds = round(time.perf_counter() - start, 1)
    return found


def machine(device: torch.device) -> dict[str, Any]:
    """Where the figures come from."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": name,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="8b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=4.5)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--max-logits", type=int, help="elements of logits held at once, instead of the package's own")
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()

    start = time.perf_counter()
    device, shape = torch.device(options.device), SHAPES[options.shape]
    if options.max_logits:
        output_head.MAX_LOGITS.update(dict.fromkeys(output_head.MAX_LOGITS, options.max_logits))
    model = random_model(shape, device)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(shape, model, device, Path(scratch), start + 60 * options.minutes)
        record: dict[str, Any] = {
            **machine(device),
            "dtype": "bfloat16",
            "parameters": bench.parameters,
            "shape": asdict(shape),
            "sections": {},
        }
        print(json.dumps({key: value for key, value in record.items() if key not in ("shape", "sections")}), flush=True)
        for name in options.sections:
            print(name, flush=True)
            section, needed = SECTIONS[name]
            found = run(section, needed if options.shape == "8b" else 0, bench)
            print(f"  {found.seconds} s" + (f"; stopped: {found.stopped}" if found.stopped else ""), flush=True)
            record["sections"][name] = asdict(found)
            if options.out:
                options.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
