import pytest

from codingspot.corpus.parallel import ParallelCorpus
from codingspot.errors import CorpusError
from codingspot.views.lens.prompts import fitting_rows, tokenise, translations

CORPUS = ParallelCorpus("rows", {"java": tuple("abcdef"), "go": tuple("uvwxyz")})


def test_a_prompt_ends_at_the_title_of_its_answer():
    (found,) = translations(CORPUS, "java", "go", items=1, shots=2, seed=0)
    *shots, last = found.prompt.split("\n\n")
    assert len(shots) == 2
    for shot in shots:
        first, second = shot.split("\n")
        assert (first[:6], second[:4]) == ("Java: ", "Go: ")
        assert CORPUS.texts["java"].index(first[6:]) == CORPUS.texts["go"].index(second[4:]) != found.row
    assert last == f"Java: {CORPUS.texts['java'][found.row]}\nGo:"
    assert found.given == CORPUS.texts["java"][found.row]
    assert found.answer == f" {CORPUS.texts['go'][found.row]}"


def test_every_pair_has_the_same_rows():
    there = translations(CORPUS, "java", "go", items=4, shots=1, seed=5)
    back = translations(CORPUS, "go", "java", items=4, shots=1, seed=5)
    assert [each.row for each in there] == [each.row for each in back]
    assert len({each.row for each in there}) == 4
    assert [each.row for each in translations(CORPUS, "java", "go", items=4, shots=1, seed=6)] != [
        each.row for each in there
    ]


def test_rows_are_needed_for_the_shots():
    with pytest.raises(CorpusError, match="has 6 rows, too few for 6 shots"):
        translations(CORPUS, "java", "go", items=1, shots=6, seed=0)


def test_the_answer_begins_after_the_prompts_tokens(tokenizer):
    corpus = ParallelCorpus("rows", {"java": ("x", "y"), "go": ("y ; z", "x ; y")})
    (found,) = translations(corpus, "java", "go", items=1, shots=0, seed=0)
    text = tokenise(found, tokenizer)
    assert tokenizer.convert_ids_to_tokens(list(text.tokens[text.start :])) == found.answer.split()
    assert tokenizer.convert_ids_to_tokens(list(text.tokens[: text.start]))[-2:] == ["Go", ":"]


def test_rows_too_long_for_a_prompt_are_left_out_and_counted(tokenizer):
    texts = ("x", "x ; y", "x " * 5, "y", "z")
    corpus = ParallelCorpus("rows", {"java": ("x", "y", "z", "x y", "z " * 9), "go": texts}, {"not UTF-8": 2})
    kept = fitting_rows(corpus, tokenizer, shots=1, longest=24)  # six tokens a text, with its title and a colon
    assert kept.texts == {"java": ("x", "y", "x y"), "go": ("x", "x ; y", "y")}
    assert kept.skipped == {"not UTF-8": 2, "too long for a prompt": 2}
    for source, target in kept.pairs:
        asked = translations(kept, source, target, items=3, shots=1, seed=0)
        assert all(len(tokenise(each, tokenizer).tokens) <= 24 for each in asked)
    assert fitting_rows(corpus, tokenizer, shots=1, longest=80) is corpus
    with pytest.raises(CorpusError, match="4 rows are needed for 3 shots and an item, but only 3 of the 5"):
        fitting_rows(corpus, tokenizer, shots=3, longest=48)
