"""Settings written as YAML: a study file, or the value of an option.

Whatever follows goes through the settings level by level, alias by alias, so text that nests or multiplies without end
is refused here; so is a key given twice, of which YAML would silently keep the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from codingspot.errors import StudyError

LONGEST = 1_000_000
"""Characters of settings; a study file has some thousands."""
_DEEPEST = 40
_MOST_VALUES = 100_000


def parse_settings(text: str, origin: str) -> Any:
    """The value of a YAML text; ``origin`` names it in messages.

    Raises:
        StudyError: it isn't YAML, or it is too long, too deep or too large.
    """
    if len(text) > LONGEST:
        raise StudyError(f"{origin} is longer than the {LONGEST:,} characters that settings may have; shorten it")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise StudyError(f"{origin} is not valid YAML: {_reason(error)}; correct it there") from None
    except RecursionError:
        raise StudyError(f"{origin} is nested more than {_DEEPEST} deep; flatten it") from None
    except Exception as error:  # constructors of scalars raise what their conversion does: ValueError, KeyError, ...
        raise StudyError(f"{origin} has a value that is not what it is marked as ({error}); correct it") from None


def read_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """What ``NAME=VALUE`` of each ``--set`` gives, the values as YAML.

    Raises:
        StudyError: one isn't of that form, or is there twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise StudyError(f"--set takes NAME=VALUE, not {pair!r}")
        if name in found:
            raise StudyError(f"--set gives {name} twice; give it once")
        found[name] = parse_settings(value, f"--set {name}")
    return found


def _measure(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many values a node has, aliases written out, and how deep they are nested.

    Raises:
        yaml.MarkedYAMLError: they are too many or too deep, an alias is inside what it names, a key is repeated,
            or a value holds a NUL.
    """
    if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
        raise yaml.MarkedYAMLError(problem="a NUL character, which no setting has", problem_mark=node.start_mark)
    if id(node) not in known:
        known[id(node)] = (_MOST_VALUES, 0)  # what is met again inside itself never ends
        inner = [_measure(child, known) for child in _children(node)]
        known[id(node)] = (1 + sum(size for size, _ in inner), 1 + max((depth for _, depth in inner), default=0))
    size, depth = known[id(node)]
    if size >= _MOST_VALUES:
        raise yaml.MarkedYAMLError(
            problem=f"more than {_MOST_VALUES:,} values, aliases written out", problem_mark=node.start_mark
        )
    if depth > _DEEPEST:
        raise yaml.MarkedYAMLError(problem=f"nested more than {_DEEPEST} deep", problem_mark=node.start_mark)
    return size, depth


def _children(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return list(node.value) if isinstance(node, yaml.SequenceNode) else []
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in seen:
            raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
        seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
    return [part for pair in node.value for part in pair]


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
