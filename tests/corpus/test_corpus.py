import json

import pytest

from codingspot.corpus import Corpus, Domain
from codingspot.errors import ArtefactError, CorpusError

RUST = Domain("Rust", "code", ("fn main() {}", "let x = 'é';\n"))
SHARP = Domain("C#", "code", ("int x;",), held_out=True)
ENGLISH = Domain("English", "general", ("A sentence.",))


def test_domains_by_kind_name_and_use() -> None:
    corpus = Corpus("mixed", (RUST, SHARP, ENGLISH))
    assert corpus.code == (RUST, SHARP)
    assert corpus.general == (ENGLISH,)
    assert corpus.scored == (RUST, ENGLISH)
    assert corpus.domain("C#") is SHARP
    with pytest.raises(CorpusError, match="no domain 'Go'; it has Rust, C#, English"):
        corpus.domain("Go")


@pytest.mark.parametrize(
    ("name", "kind", "texts"),
    [("", "code", ("x",)), ("Rust", "prose", ("x",)), ("Rust", "code", ()), ("Rust", "code", ("  ", "\n"))],
)
def test_domain_without_name_text_or_kind_is_refused(name: str, kind: str, texts: tuple[str, ...]) -> None:
    with pytest.raises(CorpusError):
        Domain(name, kind, texts)  # type: ignore[arg-type]


def test_corpus_without_domains_or_with_one_twice_is_refused() -> None:
    with pytest.raises(CorpusError, match="no domain"):
        Corpus("none", ())
    with pytest.raises(CorpusError, match="two domains named 'Rust'"):
        Corpus("twice", (RUST, RUST))


def test_saved_corpus_loads_as_it_was(tmp_path) -> None:
    corpus = Corpus("mixed", (RUST, SHARP, ENGLISH))
    corpus.save(tmp_path / "corpus")
    loaded = Corpus.load(tmp_path / "corpus")
    assert loaded == corpus
    assert loaded.fingerprint == corpus.fingerprint


def test_what_was_dropped_is_kept_but_is_no_part_of_the_content(tmp_path) -> None:
    rust = Domain("Rust", "code", RUST.texts, dropped={"binary": 2})
    corpus = Corpus("mixed", (rust,), {"seed": 3, "dropped": {"other language": 1}})
    assert corpus == Corpus("mixed", (RUST,))
    assert corpus.fingerprint == Corpus("mixed", (RUST,)).fingerprint
    corpus.save(tmp_path / "corpus")
    loaded = Corpus.load(tmp_path / "corpus")
    assert loaded.domain("Rust").dropped == {"binary": 2}
    assert loaded.made == corpus.made
    assert Corpus.is_saved(tmp_path / "corpus")
    (tmp_path / "manifest.json").write_text('{"name": "web app"}')
    assert not Corpus.is_saved(tmp_path)
    assert not Corpus.is_saved(tmp_path / "none")


def test_fingerprint_is_of_the_content() -> None:
    corpus = Corpus("one", (RUST, ENGLISH))
    assert Corpus("renamed", (RUST, ENGLISH)).fingerprint == corpus.fingerprint
    different = [
        (ENGLISH, RUST),
        (RUST, Domain("English", "code", ENGLISH.texts)),
        (RUST, Domain("English", "general", ENGLISH.texts, held_out=True)),
        (Domain("Rust", "code", RUST.texts[::-1]), ENGLISH),
        (Domain("Rust", "code", ("".join(RUST.texts),)), ENGLISH),
    ]
    assert len({corpus.fingerprint, *(Corpus("x", domains).fingerprint for domains in different)}) == 6


def test_damaged_corpus_is_refused(tmp_path) -> None:
    folder = tmp_path / "corpus"
    with pytest.raises(ArtefactError, match="does not exist"):
        Corpus.load(folder)

    corpus = Corpus("mixed", (RUST, ENGLISH))
    corpus.save(folder)
    rust = folder / "Rust.jsonl"
    whole = rust.read_text()
    rust.write_text(whole[:-5])
    with pytest.raises(ArtefactError, match=r"Rust\.jsonl is truncated"):
        Corpus.load(folder)
    rust.write_text(whole.splitlines(keepends=True)[0])
    with pytest.raises(ArtefactError, match="truncated or was edited"):
        Corpus.load(folder)
    rust.unlink()
    with pytest.raises(ArtefactError, match=r"Rust\.jsonl"):
        Corpus.load(folder)

    corpus.save(folder, force=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["domains"][0]["kind"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtefactError, match="corrupt"):
        Corpus.load(folder)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ArtefactError, match="not a saved corpus"):
        Corpus.load(folder)
