from collections.abc import Callable
from typing import Literal

import pytest

from codingspot.errors import StudyError
from codingspot.models import Registry


@pytest.fixture
def registry() -> Registry[Callable[..., str]]:
    made: Registry[Callable[..., str]] = Registry("recipe")

    @made.register("mix")
    def mix(first: str, *, times: int, how: Literal["loud", "soft"] = "soft") -> str:
        return f"{first} {times} {how}"

    return made


def test_bound_functions_take_their_parameters(registry) -> None:
    assert registry.bind("mix", {"times": 2})("go") == "go 2 soft"
    assert registry.check("mix", {"times": 2}) == {"times": 2, "how": "soft"}
    assert list(registry) == ["mix"]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("mux", {}, "unknown recipe 'mux'; use one of mix"),
        ("mix", {"time": 2}, "recipe 'mix' has no parameter 'time'; it has times, how"),
        ("mix", {}, "recipe 'mix' needs parameter 'times'"),
        ("mix", {"times": "many"}, "recipe 'mix': times is 'many'"),
        ("mix", {"times": 1, "how": "shrill"}, "recipe 'mix': how is 'shrill'"),
    ],
)
def test_faulty_parameters_are_named(registry, name, parameters, message) -> None:
    with pytest.raises(StudyError, match=message):
        registry.bind(name, parameters)


def test_a_name_is_taken_once(registry) -> None:
    with pytest.raises(ValueError, match="registered twice"):
        registry.register("mix")(str)
