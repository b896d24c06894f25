import pytest

from codingspot.corpus.admission import Reason, admit


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x = '\xff'\n", Reason.NOT_UTF8),
        ("x".encode("utf-16"), Reason.NOT_UTF8),
        ("\ud800", Reason.NOT_UTF8),
        (b"\x7fELF\0\0", Reason.BINARY),
        (b"x\n" + b"y" * 1_000_000, Reason.LONG_LINE),
        (b" \n\t\n", Reason.EMPTY),
        ("a" * 1_001 + "\n" * 50, Reason.MINIFIED),
        (("a" * 120 + "\n") * 10, Reason.MINIFIED),
    ],
)
def test_code_that_is_left_out(data: bytes | str, reason: Reason) -> None:
    assert admit(data, "code") is reason


def test_what_is_text_comes_back() -> None:
    assert admit("\ufeffx = 'é'\n".encode(), "code") == "x = 'é'\n"
    one_long_line = "a" * 500 + "\n"
    assert admit(one_long_line, "code") == one_long_line
    assert admit(b"y" * 999_999, "general") == "y" * 999_999


def test_long_paragraphs_are_no_fault_of_general_text_but_headings_are() -> None:
    paragraph = "word " * 5_000
    assert admit(paragraph, "general") == paragraph
    assert admit(paragraph, "code") is Reason.MINIFIED
    assert admit(" = = Etymology = = \n", "general") is Reason.HEADING
    assert admit("x = y = z", "general") == "x = y = z"
