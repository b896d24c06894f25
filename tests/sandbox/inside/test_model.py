import pytest

from codingspot.sandbox.inside.model import last_line


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0b", "\x0c"])
def test_the_last_line_is_not_cut_within(character: str) -> None:
    assert last_line(f"Traceback\r\nKeyError: 'a{character}b'\r\n\n") == f"KeyError: 'a{character}b'"
