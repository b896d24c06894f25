"""In which language the model writes when it is asked for a translation, judged by keywords and by parsing.

By keywords: the language with the most occurrences of words that only it has among those compared; names that stand in
both texts of the parallel pair are no keywords there. By parsing: the
target where the answer parses there; otherwise the only other language in which it does, or the source among several.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from codingspot.corpus.grammars import parse
from codingspot.corpus.languages import PURIFIABLE
from codingspot.evaluation.generation import Decoding, Generator
from codingspot.models import LoadedModel
from codingspot.tokenization import encode
from codingspot.views.lens.keywords import Keywords
from codingspot.views.lens.prompts import STOP, Translation

UNDECIDED = "undecided"
"""No language, or several alike."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_CACHE_TOKENS = 32768
_MORE = 2  # times the tokens of the reference answer may be written


def by_keywords(text: str, own: Mapping[str, frozenset[str]], names: Collection[str] = ()) -> str:
    """The language whose own keywords occur most often in ``text``; :data:`UNDECIDED` on a tie or without any.

    Words in ``names`` don't count.
    """
    words = Counter(word for word in _WORD.findall(text) if word not in names)
    counts = {language: sum(words[word] for word in keywords) for language, keywords in own.items()}
    best = max(counts.values(), default=0)
    winners = [language for language, count in counts.items() if count == best]
    return winners[0] if best and len(winners) == 1 else UNDECIDED


def by_parsing(text: str, source: str, target: str, languages: Sequence[str]) -> str:
    """The language in which ``text`` parses without an error; see the module. Those without a grammar are left out."""
    known = [language for language in languages if language in PURIFIABLE]
    if target in known and _parses(text, target):
        return target
    others = [language for language in known if language != target and _parses(text, language)]
    if len(others) == 1:
        return others[0]
    return source if source in others else UNDECIDED


def _parses(text: str, language: str) -> bool:
    return bool(text.strip()) and not parse(text.encode(), language)[0].root_node.has_error


def _names(asked: Translation) -> set[str]:
    """Words of both the text and its translation."""
    return set(_WORD.findall(asked.given)) & set(_WORD.findall(asked.answer))


def written_languages(
    loaded: LoadedModel, asked: Sequence[Translation], languages: Sequence[str], keywords: Keywords
) -> pd.DataFrame:
    """Let the model answer greedily, and count answers by the language they are in.

    Returns:
        One row a way of judging (``keywords``, ``parsing``) and language found: ``method``, ``found``, ``answers``.
        ``reference`` rows judge the parallel texts themselves by the same ways, for what judging can't tell.
    """
    rows: list[tuple[str, str, int]] = []
    if asked:
        encoded = encode(loaded.tokenizer, [each.prompt for each in asked])
        answers = encode(loaded.tokenizer, [each.answer for each in asked])
        longest = _MORE * max(map(len, answers))
        generator = Generator(loaded.model, loaded.tokenizer, max_batch_tokens=_CACHE_TOKENS)
        written = generator.generate(encoded, Decoding(max_new_tokens=longest, stop=(STOP,)))
        own = keywords.own(languages)
        texts = {"": [each.text for each in written], "reference ": [each.answer for each in asked]}
        for prefix, each in texts.items():
            judged = {
                "keywords": [by_keywords(text, own, _names(one)) for text, one in zip(each, asked, strict=True)],
                "parsing": [
                    by_parsing(text, one.source, one.target, languages) for text, one in zip(each, asked, strict=True)
                ],
            }
            for method, found in judged.items():
                rows += [(prefix + method, language, count) for language, count in sorted(Counter(found).items())]
    return pd.DataFrame(rows, columns=["method", "found", "answers"])
