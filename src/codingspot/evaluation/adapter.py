"""lm-evaluation-harness's model interface for a causal language model held in memory, whose weights change
between calls.

Requests are tokenised and laid out in batches once and remembered; only the forward passes are repeated
after an edit. Answers are never remembered. Tokenisation follows lm-eval's own Hugging Face model (HFLM),
so that log-likelihoods, choices and greedy texts are the same; but no end-of-text token that a tokenizer appends
stands after a prompt or is scored (:mod:`~codingspot.tokenization`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs, resolve_max_length
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from codingspot.errors import EvaluationError
from codingspot.evaluation.batch_support import longest_shared_row
from codingspot.evaluation.chat import render_chat
from codingspot.evaluation.contrastive import Contrast
from codingspot.evaluation.generation import Completion, Decoding, Generator, TextGenerator
from codingspot.evaluation.likelihood import Continuation, LikelihoodBatch, log_likelihoods, plan
from codingspot.tokenization import bos_policy, encode

MAX_NEW_TOKENS = 256  # of a task that sets none, as in HFLM
# On a CPU larger tensors leave the processor's cache; on a GPU these leave room for the weights of an 8 B model.
BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}
CACHE_TOKENS = {"cpu": 32768, "cuda": 65536}
_TEXTS_AT_A_TIME = 512
_UNSUPPORTED_SAMPLING = ("top_p", "top_k", "num_beams", "repetition_penalty")


class ModelAdapter(TemplateLM):  # type: ignore[misc]  # lm_eval has no type information
    """A Hugging Face causal language model as lm-eval sees it.

    The model is put in evaluation mode and is otherwise left as it is; its weights may be edited between
    calls.

    Args:
        model: the model, on its device.
        tokenizer: its tokenizer.
        batch_tokens: most padded tokens of a scored batch; by default 2,048 on a CPU and 16,384 elsewhere.
        cache_tokens: most padded tokens, prompts and completions, of a generating batch; by default 32,768 on a CPU
            and 65,536 elsewhere.
        share_prefixes: whether sequences with a common beginning may share its computation; by default they
            do where the model is found to allow it.
        generator: completes prompts in the place of the model, as a server does.
        amateur, contrast: generated answers are contrasted with this model's, and how
            (:mod:`codingspot.evaluation.contrastive`); likelihoods aren't.

    Raises:
        EvaluationError: the tokenizer has neither a beginning-of-text nor an end-of-text token.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_tokens: int | None = None,
        cache_tokens: int | None = None,
        share_prefixes: bool | None = None,
        generator: TextGenerator | None = None,
        amateur: PreTrainedModel | None = None,
        contrast: Contrast | None = None,
    ) -> None:
        super().__init__()
        if tokenizer.bos_token_id is None and tokenizer.eos_token_id is None:
            raise EvaluationError(
                "the tokenizer has neither a beginning-of-text nor an end-of-text token; set its eos_token"
            )
        for each in (model, *([] if amateur is None else [amateur])):
            each.train(False)
        self.model = model
        self.tokenizer = tokenizer
        self._device = next(model.parameters()).device
        device = "cpu" if self._device.type == "cpu" else "cuda"
        self.batch_tokens = batch_tokens or BATCH_TOKENS[device]
        self._contrasted = amateur is not None
        self.cache_tokens = cache_tokens or CACHE_TOKENS[device]
        self.generator: TextGenerator = generator or Generator(
            model,
            tokenizer,
            max_batch_tokens=self.cache_tokens,
            amateur=amateur,
            contrast=contrast,
        )
        self._share_prefixes = share_prefixes is not False
        self._plans: dict[tuple[Any, ...], list[LikelihoodBatch]] = {}
        self._prompts: dict[tuple[Any, ...], list[list[int]]] = {}

    @cached_property
    def max_shared_row(self) -> int:
        """Most tokens of a row in which texts share their beginnings, tried on the weights when first asked for."""
        return longest_shared_row(self.model, self.max_length) if self._share_prefixes else 0

    def try_batches(self) -> None:
        """Find out now how texts may share batches; weights that are edited later, and may be broken, don't tell."""
        _ = self.max_shared_row, self.generator.batching

    @property
    def eot_token_id(self) -> int:
        """The end-of-text token."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token that stands before a text without context: beginning of text, or else end of text.

        A model predicts no token from nothing. Where the policy is that no beginning of text is read
        (:func:`~codingspot.tokenization.with_bos`), the end of text comes first.
        """
        tokens = [self.tokenizer.bos_token_id, self.tokenizer.eos_token_id]
        if bos_policy(self.tokenizer) == "none":
            tokens.reverse()
        return int(tokens[1] if tokens[0] is None else tokens[0])

    @property
    def max_length(self) -> int:
        """Most tokens the model reads."""
        return int(resolve_max_length(self.model.config, self.tokenizer))

    @property
    def tokenizer_name(self) -> str:
        """Names the tokenizer in lm-eval's request cache."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """One text from a conversation, by the tokenizer's own template."""
        return render_chat(self.tokenizer, chat_history, add_generation_prompt)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids of a text, with the tokenizer's usual special tokens unless the text spells them out."""
        if add_special_tokens is None:
            return list(self._encode([string])[string])
        return encode(self.tokenizer, [string], special_tokens=add_special_tokens)[0]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """Log-probability in nats of each continuation given its context, and whether it is greedy's choice.

        Requests are ``Instance`` with arguments (context, continuation). A log-likelihood that is not a
        number is reported as minus infinity.

        Raises:
            EvaluationError: a continuation adds no token to its context, or has more tokens than the model
                reads.
        """
        del disable_tqdm
        pairs = tuple(request.args for request in requests)
        return self._score(("pairs", *pairs), lambda: self._continuations(pairs), len(pairs))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        """Log-probability in nats of each whole text, in windows of the longest length the model reads.

        Every token is predicted once; the first is given the beginning-of-text token. Requests are
        ``Instance`` with arguments (text,).
        """
        del disable_tqdm
        texts = tuple(request.args[0] for request in requests)
        scores = self._score(("rolling", *texts), lambda: list(self._rolling(texts)), len(texts))
        return [total for total, _ in scores]

    def rolling_windows(
        self, tokens: Sequence[int], owner: int, *, longest: int | None = None
    ) -> Iterator[Continuation]:
        """Windows of a text's tokens in which each is predicted once, the first from the prefix token.

        A window has at most ``longest`` tokens, by default and at most as many as the model reads.
        """
        length = min(self.max_length, longest or self.max_length)
        for window in get_rolling_token_windows(list(tokens), self.prefix_token_id, length, 1):
            context, continuation = make_disjoint_window(window)
            yield self._truncate((*context, *continuation), len(context), owner)

    def lay_out(self, continuations: Sequence[Continuation]) -> list[LikelihoodBatch]:
        """Batches for ``likelihood.log_likelihoods``, of the size and form that suit this model."""
        config = self.model.config.get_text_config()
        return plan(
            continuations,
            max_tokens=self.batch_tokens,
            max_shared_row=self.max_shared_row,
            attention_scale=6 * int(config.hidden_size),
        )

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        continuations = [
            self._truncate((*context, *continuation), len(context), owner)
            for owner, (_, context, continuation) in enumerate(requests)
        ]
        return self._run(self.lay_out(continuations), len(continuations))

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """Generated texts, each up to its first stop string. Requests have arguments (context, settings)."""
        del disable_tqdm
        return [completion.text for completion in self.generate(requests)]

    def generate(self, requests: Sequence[Instance], *, seed: int = 0) -> list[Completion]:
        """Like ``generate_until``, and says of each text whether the model's logits stayed finite.

        Settings understood are until, one_block (a text ends with its first fenced block), max_gen_toks (or its
        synonyms), do_sample and temperature. Sampling draws from a stream of its own for each request, made of
        ``seed`` and the request's place among those that share its settings.

        Raises:
            EvaluationError: a request asks for other sampling, or for as many new tokens as the model reads.
        """
        groups: dict[Decoding, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(self._decoding(request.args[1], seed), []).append(index)
        completions: dict[int, Completion] = {}
        for decoding, indices in groups.items():
            prompts = self._prompt_tokens(tuple(requests[i].args[0] for i in indices), decoding.max_new_tokens)
            completions.update(zip(indices, self.generator.generate(prompts, decoding), strict=True))
        return [completions[index] for index in range(len(requests))]

    def require_answerable(self, requests: Sequence[Instance]) -> None:
        """Make sure that the model can read and answer the requests of a task, without running it.

        Raises:
            EvaluationError: requests are of a kind without an answer here, or are scored where answers are contrasted;
                a continuation or the tokens to be generated don't fit in what the model reads, or they leave no room
                for even the shortest prompt.
        """
        kinds = {request.request_type for request in requests}
        if unknown := sorted(kinds - {"loglikelihood", "generate_until"}):
            raise EvaluationError(f"its {', '.join(unknown)} requests have no outcome for single items; choose another")
        if self._contrasted and "loglikelihood" in kinds:
            raise EvaluationError(
                "its answers are scored by their likelihood, and contrastive decoding changes generated ones alone; "
                "choose tasks whose answers are generated"
            )
        self._continuations([request.args for request in requests if request.request_type == "loglikelihood"])
        generating = [request for request in requests if request.request_type == "generate_until"]
        decodings = {json.dumps(request.args[1], sort_keys=True, default=str): request for request in generating}
        asked = [self._decoding(request.args[1], 0) for request in decodings.values()]
        for decoding in asked:
            self.generator.require(decoding)
        limits = [decoding.max_new_tokens for decoding in asked]
        room = self.max_length - max(limits, default=0)
        shortest = min((str(request.args[0]) for request in requests), key=len, default="")
        tokens = len(self._encode([shortest])[shortest])
        if tokens > room:
            raise EvaluationError(
                f"even its shortest prompt has {tokens} tokens, and {room} of the {self.max_length} that the model "
                f"reads are left for it; lower few_shot{' or max_new_tokens' if limits else ''}"
            )

    def _decoding(self, settings: dict[str, Any], seed: int) -> Decoding:
        known = normalize_gen_kwargs(settings, MAX_NEW_TOKENS)
        temperature = float(known.get("temperature", 0.0)) if known["do_sample"] else 0.0
        unsupported = [name for name in _UNSUPPORTED_SAMPLING if name in settings]
        if temperature and unsupported:
            raise EvaluationError(f"sampling by {unsupported[0]} is not supported; set temperature alone")
        if known["max_gen_toks"] >= self.max_length:
            raise EvaluationError(
                f"a task generates up to {known['max_gen_toks']} tokens and the model reads {self.max_length}, so that "
                f"none are left for a prompt; set max_new_tokens, to such as {self.max_length // 2}"
            )
        stop = [string for string in known["until"] if string]
        if self.tokenizer.eos_token is not None:
            stop.append(str(self.tokenizer.eos_token))
        return Decoding(known["max_gen_toks"], tuple(stop), bool(known.get("one_block")), temperature, seed)

    def _prompt_tokens(self, contexts: tuple[str, ...], max_new_tokens: int) -> list[list[int]]:
        key = (max_new_tokens, *contexts)
        if key not in self._prompts:
            encoded = self._encode(contexts)
            kept = self.max_length - max_new_tokens
            self._prompts[key] = [list(encoded[context] or (self.prefix_token_id,))[-kept:] for context in contexts]
        return self._prompts[key]

    def _encode(self, texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Token ids of each distinct text; none is added to a text that begins with the prefix token.

        Equal ids are one object, and few texts are tokenised at a time: a benchmark can have 50 million tokens, and the
        tokenizer's own record of a token takes some 100 bytes.
        """
        prefix = str(self.tokenizer.decode([self.prefix_token_id]))
        same: dict[int, int] = {}
        encoded: dict[str, tuple[int, ...]] = {}
        distinct = list(dict.fromkeys(texts))
        for spelled in (False, True):
            part = [text for text in distinct if text.startswith(prefix) == spelled]
            for start in range(0, len(part), _TEXTS_AT_A_TIME):
                chunk = part[start : start + _TEXTS_AT_A_TIME]
                for text, ids in zip(chunk, encode(self.tokenizer, chunk, special_tokens=not spelled), strict=True):
                    encoded[text] = tuple(same.setdefault(token, token) for token in ids)
        return encoded

    def _continuations(self, pairs: Sequence[tuple[str, str]]) -> list[Continuation]:
        split = [_move_trailing_space(context, continuation) for context, continuation in pairs]
        encoded = self._encode(text for context, rest in split if context for text in (context, context + rest))
        return [self._continuation(*texts, encoded, owner) for owner, texts in enumerate(split)]

    def _continuation(
        self, context: str, rest: str, encoded: Mapping[str, tuple[int, ...]], owner: int
    ) -> Continuation:
        if context:
            tokens, start = encoded[context + rest], len(encoded[context])
        else:
            alone = tuple(self.tok_encode(rest, add_special_tokens=False))
            tokens = alone if alone[:1] == (self.prefix_token_id,) else (self.prefix_token_id, *alone)
            start = 1
        if len(tokens) <= start:
            raise EvaluationError(f"the continuation {rest!r} adds no token to its context; make it longer")
        return self._truncate(tokens, start, owner)

    def _rolling(self, texts: Sequence[str]) -> Iterator[Continuation]:
        encoded = self._encode(texts)
        for owner, text in enumerate(texts):
            yield from self.rolling_windows(encoded[text], owner)

    def _truncate(self, tokens: tuple[int, ...], start: int, owner: int) -> Continuation:
        """Drop the first tokens of what is longer than the model reads; the last token isn't read."""
        scored = len(tokens) - start
        if scored > self.max_length:
            raise EvaluationError(
                f"a continuation has {scored} tokens and the model reads {self.max_length}; shorten it"
            )
        kept = tokens[-(self.max_length + 1) :]
        return Continuation(kept, len(kept) - scored, owner)

    def _score(
        self, key: tuple[Any, ...], continuations: Callable[[], Sequence[Continuation]], count: int
    ) -> list[tuple[float, bool]]:
        if key not in self._plans:
            self._plans[key] = self.lay_out(continuations())
        return self._run(self._plans[key], count)

    def _run(self, batches: Sequence[LikelihoodBatch], count: int) -> list[tuple[float, bool]]:
        total, greedy = log_likelihoods(self.model, batches, count)
        return list(zip(total.tolist(), greedy.tolist(), strict=True))


def _move_trailing_space(context: str, continuation: str) -> tuple[str, str]:
    """A word's token holds the space before it, so white space that ends the context goes with the rest."""
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation
