from codingspot.testbed.parallel import parallel_programs
from codingspot.testbed.programs import LANGUAGES


def test_every_row_is_one_program_in_every_language():
    corpus = parallel_programs(20, seed=3)
    assert corpus.languages == tuple(sorted(LANGUAGES))
    assert corpus.rows == 20
    assert all(corpus.duplicates(language) == 0 for language in corpus.languages)
    assert all("transform" in text for text in corpus.texts["python"])
    assert parallel_programs(20, seed=3).fingerprint == corpus.fingerprint
    assert parallel_programs(20, seed=4).fingerprint != corpus.fingerprint


def test_one_line_programs_have_one_line():
    corpus = parallel_programs(15, 0, ("java", "python"), one_line=True)
    assert corpus.languages == ("java", "python")
    assert not any("\n" in text for texts in corpus.texts.values() for text in texts)
