import json
from pathlib import Path

import pytest

from codingspot.errors import ArtefactError
from codingspot.views.lens.keywords import ENGLISH, SHARED, Keywords, collect_keywords, grammar_keywords, token_sets

SHARED_DATA = Path(__file__).resolve().parents[2] / "../shared/data/keywords"


def write(folder: Path, **files: object) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_versions_are_joined_and_what_is_no_word_is_counted(tmp_path):
    folder = write(
        tmp_path / "sets",
        a={"name": "Python 2", "keywords": ["exec", "print"]},
        b={"name": "Python 3", "keywords": ["print", "async", "_", "3"]},
        c={"name": "PHP", "keywords": ["array()", "@class", "block data", "+="]},
    )
    found = collect_keywords(folder, english=0)
    assert found.words["python"] == {"exec", "print", "async"}
    assert found.words["php"] == {"array", "class"}
    assert found.skipped == {"python": 2, "php": 2}
    assert {"typescript", "bash", "julia"} <= found.words.keys()


@pytest.mark.parametrize("content", [[], {"name": "Go"}, {"keywords": ["a"]}, {"name": "Go", "keywords": "func"}])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    with pytest.raises(ArtefactError, match=r"a\.json is not a keyword file"):
        collect_keywords(write(tmp_path / "sets", a=content), english=0)


def test_a_folder_without_files_and_a_broken_file_are_refused(tmp_path):
    with pytest.raises(ArtefactError, match="holds no keyword file"):
        collect_keywords(write(tmp_path / "sets"), english=0)
    (tmp_path / "sets/broken.json").write_text("{")
    with pytest.raises(ArtefactError, match=r"broken\.json is not JSON"):
        collect_keywords(tmp_path / "sets", english=0)


def test_grammars_spell_their_keywords_out():
    assert {"function", "while", "begin", "elseif"} <= grammar_keywords("julia")
    assert {"fi", "done", "esac", "then"} <= grammar_keywords("bash")
    assert {"interface", "keyof", "readonly"} <= grammar_keywords("typescript")
    assert not {"identifier", "string_content"} & grammar_keywords("typescript")


def test_own_keywords_are_no_other_languages():
    keywords = Keywords({"go": frozenset({"func", "for"}), "java": frozenset({"class", "for"})})
    assert keywords.own(("go", "java")) == {"go": {"func"}, "java": {"class"}}
    assert keywords.own(("go", "c")) == {"go": {"func", "for"}, "c": frozenset()}


def test_tokens_are_whole_words_with_and_without_a_space(tokenizer):
    keywords = Keywords(
        {"go": frozenset({"func", "for"}), "java": frozenset({"class", "for"}), "lua": frozenset({"local"})},
        frozenset({"the", "for", "house"}),
    )
    sets, without = token_sets(keywords, tokenizer)
    spelt = {(each.name, each.kind): tokenizer.convert_ids_to_tokens(list(each.tokens)) for each in sets}
    assert spelt == {
        ("go", "all"): ["func", "for", "Ġfor"],
        ("go", "own"): ["func"],
        ("java", "all"): ["class", "Ġclass", "for", "Ġfor"],
        ("java", "own"): ["class", "Ġclass"],
        (SHARED, "all"): ["for", "Ġfor"],
        (ENGLISH, "all"): ["for", "Ġfor", "the", "Ġthe"],
        (ENGLISH, "own"): ["the", "Ġthe"],
    }
    assert without == ["lua"]


def test_the_real_files_are_read():
    if not SHARED_DATA.exists():
        pytest.skip("keywords are not in ../shared/data")
    found = collect_keywords(SHARED_DATA)
    assert len(found.words) == 22 + 3
    assert {"elif", "lambda", "exec", "async"} <= found.words["python"]
    assert len(found.english) > 9000
    assert not any(word[0].isdigit() for words in found.words.values() for word in words)
