import pytest

from codingspot.report.samples import cut


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0b", "\x0c"])
def test_programs_are_shown_as_they_were_written(character: str) -> None:
    assert cut(f"\nx = '{character * 40}'\r\ny\n\n") == f"x = '{character * 40}'\ny"


def test_long_programs_arecut_and_say_so() -> None:
    assert cut("x\n" * 31) == "x\n" * 30 + "[cut]"
    assert cut("x" * 1501) == "x" * 1500 + "\n[cut]"
    assert cut("x\n" * 30) == ("x\n" * 30)[:-1]
