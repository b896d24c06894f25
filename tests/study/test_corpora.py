"""The corpora of a study of the testbed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from codingspot.corpus import Corpus, Domain
from codingspot.errors import CorpusError
from codingspot.models import shipped_model
from codingspot.study.corpora import scoring_corpus, study_corpora
from codingspot.study.corpus_section import CorpusSection

FEW = {"source": "testbed", "documents": 4, "evaluation_documents": 2}


def test_the_testbed_s_world_has_the_languages_asked_for() -> None:
    whole = study_corpora(CorpusSection(**FEW))
    some = study_corpora(CorpusSection(**FEW, languages=("python", "JS")))
    assert [domain.name for domain in some[0].domains] == ["javascript", "python", "english"]
    for read, kept in zip(whole, some, strict=True):
        assert set(kept.domains) <= set(read.domains)


def test_what_is_held_out_of_the_testbed_s_world_is_the_study_s_to_say() -> None:
    for held_out in ((), ("python",), ("JS", "bash")):
        scoring, _ = study_corpora(CorpusSection(**FEW, held_out=held_out, languages=("python", "javascript", "bash")))
        found = {domain.name for domain in scoring.domains if domain.held_out}
        assert found == {"javascript" if name == "JS" else name for name in held_out}


def test_another_ability_is_sought_in_the_place_of_code(saved: str) -> None:
    section = CorpusSection(source=saved, target=("prose", "JS"), evaluation_documents=2, purified=False)
    for corpus in study_corpora(section):
        kinds = {domain.name: domain.kind for domain in corpus.domains}
        assert kinds == {"javascript": "code", "prose": "code", "Python": "general", "rust": "general"}
    with pytest.raises(CorpusError, match="no domain 'verse'; it has Python, javascript, prose, rust"):
        study_corpora(CorpusSection(source=saved, target=("verse",)))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(shipped_model())


def made(name: str, kind: str) -> Domain:
    return Domain(name, kind, tuple(f"{name} {number}\n" for number in range(9)))  # type: ignore[arg-type]


@pytest.fixture
def saved(tmp_path: Path) -> str:
    domains = (made("javascript", "code"), made("Python", "code"), made("rust", "code"), made("prose", "general"))
    Corpus("mine", (*domains[:2], replace(domains[2], held_out=True), domains[3])).save(tmp_path / "saved")
    return str(tmp_path / "saved")


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """The same programs as rows of a known data set."""
    codes = [
        {"programming_language": name, "response": f"```\n{text}```\n"}
        for name in ("javascript", "python", "rust")
        for text in made(name, "code").texts
    ]
    (tmp_path / "codes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in codes))
    return str(tmp_path / "codes.jsonl")


@pytest.fixture(params=["saved", "rows", "testbed"])
def source(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name if name == "testbed" else request.getfixturevalue(name)


def section(source: str, **asked: object) -> CorpusSection:
    return CorpusSection(**{**FEW, "source": source, "purified": False, **asked})  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["languages", "general", "held_out"])
def test_a_domain_that_is_not_there_is_refused_and_those_there_are_listed(source: str, key: str) -> None:
    with pytest.raises(CorpusError, match=r"no domain 'haskell'; it has .*javascript.*rust") as caught:
        study_corpora(section(source, **{key: ("javascript", "python", "rust", "haskell")}))
    assert "\n" not in str(caught.value)


def test_languages_general_and_held_out_hold_for_every_kind_of_source(source: str) -> None:
    asked = section(source, languages=("py", "JS"), general=("rs",), held_out=("js",))
    for corpus in study_corpora(asked):
        found = {d.name.lower(): (d.kind, d.held_out) for d in corpus.domains if d.name not in ("english", "prose")}
        assert found == {"javascript": ("code", True), "python": ("code", False), "rust": ("general", False)}


def test_a_saved_corpus_has_its_own_word_where_nothing_is_asked(saved: str) -> None:
    scoring, _ = study_corpora(section(saved))
    assert [(d.name, d.kind, d.held_out) for d in scoring.domains] == [
        ("javascript", "code", False),
        ("Python", "code", False),
        ("rust", "code", True),
        ("prose", "general", False),
    ]
    opened, _ = study_corpora(section(saved, held_out=()))
    assert not [domain.name for domain in opened.domains if domain.held_out]


def test_scoring_alone_keeps_no_text_back(saved: str, rows: str, tokenizer: PreTrainedTokenizerBase) -> None:
    for place in (saved, rows):
        every = scoring_corpus(section(place, documents=0, evaluation_documents=48), tokenizer, 1000)
        assert {len(domain.texts) for domain in every.domains} == {9}
        few = scoring_corpus(section(place, documents=3, evaluation_documents=48), tokenizer, 1000)
        assert {len(domain.texts) for domain in few.domains} == {3}


def test_no_corpus_is_assumed() -> None:
    with pytest.raises(CorpusError, match="no corpus is named for "):
        study_corpora(CorpusSection())


def test_no_text_is_both_scored_and_evaluated() -> None:
    scored, kept = study_corpora(CorpusSection(**FEW))
    for one, other in zip(scored.domains, kept.domains, strict=True):
        assert (len(one.texts), len(other.texts)) == (4, 2)
        assert not set(one.texts) & set(other.texts)
