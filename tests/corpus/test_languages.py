import pytest

from codingspot.corpus.languages import (
    LANGUAGES,
    PURIFIABLE,
    STUDIED,
    canonical_language,
    language_named,
    language_of_path,
)
from codingspot.errors import CorpusError
from codingspot.testbed.programs import LANGUAGES as TESTBED


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("C++", "cpp"),
        ("c#", "csharp"),
        (" Go ", "go"),
        ("GOLANG", "go"),
        ("Shell", "bash"),
        ("JS", "javascript"),
        ("tsx", "typescript"),
        ("C-Sharp", "csharp"),
        ("Julia", "julia"),
        ("English", None),
        ("", None),
        ("R", "r"),
    ],
)
def test_every_spelling_has_one_name(spelling: str, name: str | None) -> None:
    assert canonical_language(spelling) == name


def test_no_spelling_or_extension_has_two_meanings() -> None:
    spellings = [
        spelling
        for language in LANGUAGES.values()
        for spelling in {language.name, language.title.lower(), *language.aliases}
    ]
    extensions = [extension for language in LANGUAGES.values() for extension in language.extensions]
    assert len(set(spellings)) == len(spellings)
    assert len(set(extensions)) == len(extensions)


def test_the_studied_languages_are_the_testbeds() -> None:
    assert set(STUDIED) == set(TESTBED)
    assert set(PURIFIABLE) == {*STUDIED, "c", "php"}


def test_language_of_a_file() -> None:
    assert language_of_path("src/Main.JAVA") == "java"
    assert language_of_path("a.b/analysis.R") == "r"
    assert language_of_path("Makefile") is None


def test_unknown_language_is_refused_with_those_there_are() -> None:
    assert language_named("c#").title == "C#"
    with pytest.raises(CorpusError, match="unknown programming language 'Klingon'; use some of bash, c, "):
        language_named("Klingon")
