import json
from pathlib import Path

import pytest

from codingspot.corpus import Corpus, Domain
from codingspot.errors import CorpusError
from codingspot.estimation.domains import known_domains
from codingspot.study.corpus_section import CorpusSection

SAVED = Corpus(
    "own",
    (
        Domain("lua", "code", ("print(1)",) * 40),
        Domain("perl", "code", ("print 1;",)),
        Domain("haskell", "code", ("main = print 1",), held_out=True),
        Domain("letters", "general", ("Dear reader",)),
    ),
)


@pytest.fixture
def saved(tmp_path: Path) -> str:
    SAVED.save(tmp_path / "saved")
    return str(tmp_path / "saved")


def scored(**section: object) -> tuple[list[str], list[str]]:
    """Names of the languages and of the general domains that are scored."""
    corpus, _ = known_domains(CorpusSection.model_validate(section))
    return tuple(sorted(each.name for each in corpus.scored if each.kind == kind) for kind in ("code", "general"))


def test_a_saved_corpus_has_its_own(saved: str) -> None:
    assert scored(source=saved) == (["lua", "perl"], ["letters"])
    assert scored(source=saved, languages=["perl"], held_out=[]) == (["perl"], ["letters"])
    assert scored(source=saved, general=["perl"], held_out=["lua"]) == (["haskell"], ["letters", "perl"])
    with pytest.raises(CorpusError, match="own has no domain 'go'"):
        scored(source=saved, languages=["go"])
    corpus, own = known_domains(CorpusSection(source=saved))
    assert own
    assert len(corpus.domain("lua").texts) == 16


def test_a_world_has_its_own() -> None:
    languages, general = scored(source="testbed")
    assert "python" not in languages  # held out
    assert "rust" in languages
    assert general == ["english"]


def test_folders_and_files_name_theirs(saved: str, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    for name in ("go", "rust", "english"):
        (folder / name).mkdir(parents=True)
        (folder / name / "one").write_text("text")
    assert scored(source=str(folder)) == (["go", "rust"], ["english"])
    assert scored(source=str(folder), languages=["rust"]) == (["rust"], ["english"])
    assert scored(source=[str(folder), saved], held_out=["go"]) == (
        ["haskell", "lua", "perl", "rust"],
        ["english", "letters"],
    )
    assert scored(source=[str(folder), saved]) == (["go", "lua", "perl", "rust"], ["english", "letters"])
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": "1 + 1"}) + "\n")
    sums = {"path": str(rows), "domain": "sums", "kind": "general"}
    assert scored(source=[str(folder), sums], languages=["go"]) == (["go"], ["english", "sums"])


def test_data_sets_on_the_hub_are_taken_for_what_is_asked_of_them() -> None:
    hub = {"source": ["nampdn-ai/tiny-codes"], "languages": ["Go", "python"]}
    assert scored(**hub, held_out=["python", "english"]) == (["go"], [])
    both = {**hub, "source": ["nampdn-ai/tiny-codes", "Salesforce/wikitext"]}
    assert scored(**both) == (["go", "python"], ["english"])
    assert len(scored()[0]) == 11  # without a source
