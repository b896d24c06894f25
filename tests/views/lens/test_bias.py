from codingspot.views.lens.bias import UNDECIDED, by_keywords, by_parsing

OWN = {"python": frozenset({"def", "elif"}), "java": frozenset({"public", "static"}), "go": frozenset({"func"})}


def test_the_language_with_most_own_keywords_is_found():
    assert by_keywords("public static int f(int def)", OWN) == "java"
    assert by_keywords("func f() {}", OWN) == "go"
    assert by_keywords("public func", OWN) == UNDECIDED
    assert by_keywords("x = 1", OWN) == UNDECIDED
    assert by_keywords("func elif", OWN, names={"func"}) == "python"
    assert by_keywords("undefined redefine", OWN) == UNDECIDED  # words, not parts of them


def test_the_target_is_found_where_it_parses():
    languages = ("python", "java", "ruby")
    assert by_parsing("x = 1", "java", "python", languages) == "python"
    assert by_parsing("def f(x)\n  x\nend", "java", "python", languages) == "ruby"
    assert by_parsing("int f(int x) { return x; }", "java", "python", languages) == "java"
    assert by_parsing("((((", "java", "python", languages) == UNDECIDED
    assert by_parsing("", "java", "python", languages) == UNDECIDED
