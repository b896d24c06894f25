"""The corpora of a study of the testbed."""

import pytest

from codingspot.errors import CorpusError
from codingspot.study.config import CorpusSection
from codingspot.study.corpora import study_corpora

FEW = {"documents": 4, "evaluation_documents": 2}


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


def test_the_testbed_has_one_kind_of_general_text() -> None:
    with pytest.raises(CorpusError, match="general text is english alone"):
        study_corpora(CorpusSection(**FEW, general=("german",)))


def test_a_language_the_testbed_does_not_have_is_named() -> None:
    with pytest.raises(CorpusError, match=r"no haskell; .*bash, .*typescript"):
        study_corpora(CorpusSection(**FEW, languages=("python", "haskell")))


def test_no_text_is_both_scored_and_evaluated() -> None:
    scored, kept = study_corpora(CorpusSection(**FEW))
    for one, other in zip(scored.domains, kept.domains, strict=True):
        assert (len(one.texts), len(other.texts)) == (4, 2)
        assert not set(one.texts) & set(other.texts)
