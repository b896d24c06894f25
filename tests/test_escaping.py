"""What is not seen is written out, everything else stays."""

import pytest

from codingspot.escaping import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Python", "Python"),
        ("é, 中文, 10⁻², − × ∞", "é, 中文, 10⁻², − × ∞"),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("bell\x07 back\x08 null\x00 del\x7f", r"bell\x07 back\x08 null\x00 del\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("good\u202egnp.exe", r"good\u202egnp.exe"),
        ("\u2066isolate\u2069\u200e\ufeff", r"\u2066isolate\u2069\u200e\ufeff"),
        ("one\u2028two", r"one\u2028two"),
        ("half \ud800, none \uffff, tag \U000e0041", r"half \ud800, none \uffff, tag \U000e0041"),
        ("lines\n\tstay\r", "lines\n\tstay\\r"),
    ],
)
def test_what_is_not_seen_is_written_out(text: str, shown: str):
    assert visible(text) == shown
    assert visible(shown) == shown


def test_a_single_line_stays_one():
    assert visible("a\nb\tc", keep="") == r"a\nb\tc"
