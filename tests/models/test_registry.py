import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from codingspot.errors import StudyError
from codingspot.models import Registry


@dataclass(frozen=True)
class Traits:
    loud: bool = False


@pytest.fixture
def registry() -> Registry[Callable[..., str], Traits]:
    made: Registry[Callable[..., str], Traits] = Registry("recipe", Traits())

    @made.register("mix")
    def mix(
        first: str,
        *,
        times: Annotated[int, Field(ge=1, lt=9)],
        how: Literal["loud", "soft"] = "soft",
        gain: float = 0,
    ) -> str:
        return f"{first} {times} {how}"

    return made


def test_bound_functions_take_their_parameters(registry) -> None:
    assert registry.bind("mix", {"times": 2})("go") == "go 2 soft"
    assert registry.check("mix", {"times": 2}) == {"times": 2, "how": "soft", "gain": 0}
    assert list(registry) == ["mix"]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("mux", {}, "unknown recipe 'mux'; use one of mix"),
        ("mix", {"time": 2}, "recipe 'mix' has no parameter 'time'; it has times, how, gain"),
        ("mix", {}, "recipe 'mix' needs parameter 'times'"),
        ("mix", {"times": "many"}, "recipe 'mix': times is 'many'"),
        ("mix", {"times": 0}, r"times is 0 \(Input should be greater than or equal to 1\); correct it"),
        ("mix", {"times": 9}, r"times is 9 \(Input should be less than 9\); correct it"),
        ("mix", {"times": 1, "gain": float("nan")}, r"gain is nan \(Input should be a finite number\)"),
        ("mix", {"times": 1, "gain": "x" * 999}, r"gain is 'x{50,60}\.\.\. \("),
        ("mix", {"times": 1, "how": "shrill"}, "recipe 'mix': how is 'shrill'"),
    ],
)
def test_faulty_parameters_are_named(registry, name, parameters, message) -> None:
    with pytest.raises(StudyError, match=message):
        registry.bind(name, parameters)


def test_a_method_declares_itself(registry) -> None:
    @registry.register("shout", label="shouting", reference="Munch 1893", traits=lambda times: Traits(times > 1))
    def shout(first: str, *, times: int = 1) -> str:
        return first * times

    assert registry.traits("mix") == Traits()
    assert [registry.traits("shout", {"times": n}) for n in (1, 2)] == [Traits(), Traits(loud=True)]
    assert [registry.label(name) for name in ("mix", "shout", "not_there")] == ["mix", "shouting", "not there"]
    assert (registry.reference("mix"), registry.reference("shout")) == ("", "Munch 1893")
    assert registry.traits_if_known("not_there") == Traits()
    with pytest.raises(StudyError, match="recipe 'shout': times is 'many'"):
        registry.traits("shout", {"times": "many"})


def test_a_name_is_taken_once(registry) -> None:
    with pytest.raises(ValueError, match="registered twice"):
        registry.register("mix")(str)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a package with one module and its entry points for the length of a test."""

    def install(module: str, points: str) -> None:
        folder = tmp_path / "third_party-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(points)
        (tmp_path / "third_party.py").write_text(module)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "third_party", raising=False)

    return install


def test_an_installed_package_s_function_joins(registry, installed) -> None:
    installed(
        "def blend(first: str, *, parts: int = 3) -> str:\n    return first * parts\n",
        "[codingspot.recipes]\nblend = third_party:blend\n",
    )
    assert list(registry) == ["mix", "blend"]
    assert "blend" in registry
    assert registry.bind("blend", {"parts": 2})("go") == "gogo"
    assert registry.parameters("blend") == {"parts": 3}
    assert (registry.source("mix"), registry.source("blend")) == ("codingspot", "third-party 1.2")
    with pytest.raises(StudyError, match=r"unknown recipe 'blent'; use one of mix, blend"):
        registry["blent"]


@pytest.mark.parametrize(
    ("module", "point", "message"),
    [
        ("def mix(): ...", "mix = third_party:mix", "'mix' is offered by codingspot and third-party 1.2"),
        ("1 / 0", "bad = third_party:bad", r"'bad' of third-party 1.2 can't be imported \(division by zero\)"),
        ("", "gone = third_party:gone", "'gone' of third-party 1.2 can't be imported"),
        ("seven = 7", "seven = third_party:seven", "is not a function"),
    ],
)
def test_a_faulty_package_is_named_when_it_is_used_and_not_before(registry, installed, module, point, message) -> None:
    installed(module, f"[codingspot.recipes]\n{point}\n")
    assert "mix" in list(registry)
    with pytest.raises(StudyError, match=message):
        registry[point.split()[0]]


def test_some_have_to_declare_themselves(installed) -> None:
    installed("class Bare: ...", "[codingspot.views]\nbare = third_party:Bare\n")
    strict: Registry[Callable[..., str], Traits] = Registry("view", Traits)
    strict.register("whole", traits=Traits(loud=True))(str)
    assert strict.traits("whole").loud
    with pytest.raises(StudyError, match=r"'bare' of third-party 1\.2 declares no Traits; register it with traits"):
        strict["bare"]
    assert not strict.is_usable("bare")
    with pytest.raises(StudyError, match="view 'own' of codingspot declares no Traits"):
        strict.register("own")(str)
