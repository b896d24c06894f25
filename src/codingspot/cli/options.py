"""Options made from the settings that they set, so that a setting is declared once, with its range and its words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from codingspot.models.section import ModelSection
from codingspot.remote import local_path
from codingspot.settings import Settings

PLACE: dict[str, Any] = {"parser": local_path, "metavar": "PATH|URL"}
"""Of an argument or option that is a path or a URL (:mod:`codingspot.remote`)."""
MODEL = Annotated[
    str,
    typer.Argument(
        help="Hub id, folder, GGUF file, or the shipped 'testbed', 'testbed-routed' or 'testbed-scattered'."
    ),
]


def settings_options(settings: type[Settings], *, but: Collection[str] = ()) -> list[inspect.Parameter]:
    """One option a field, ``but`` those; a list's option is repeated and bears the name of one value."""
    hints = get_type_hints(settings)
    found = []
    for name, field in settings.model_fields.items():
        if name in but:
            continue
        if _plain(hints[name]) is not None:
            found.append(_option(settings, name, hints[name], field))
        if "none" in _extra(field):
            flag = typer.Option(_extra(field)["none"], help=f"As {option_name(settings, name)}, but none.")
            found.append(option(f"no_{name}", Annotated[bool, flag], False))
    return found


def given_settings(settings: type[Settings], options: Mapping[str, Any]) -> dict[str, Any]:
    """What options set, by setting; those that aren't given are left to the settings' defaults."""
    found = {name: options[name] for name in settings.model_fields if options.get(name) not in (None, [])}
    emptied = [name for name in settings.model_fields if options.get(f"no_{name}")]
    return {**found, **dict.fromkeys(emptied, ())}


def option_name(settings: type[Settings], name: str) -> str:
    """The option that sets a field, or its argument: of a list, the name of one of its values where no other field has
    that."""
    if "argument" in _extra(settings.model_fields[name]):
        return str(_extra(settings.model_fields[name])["argument"])
    single = name.removesuffix("s")
    hints = get_type_hints(settings)
    name = single if name in hints and _repeated(hints[name]) and single not in settings.model_fields else name
    return f"--{name.replace('_', '-')}"


def takes_model(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose parameter ``model`` is a :class:`~codingspot.models.section.ModelSection` its options.

    Raises:
        StudyError: one of them has a wrong value.
    """
    from codingspot.cli.console import friendly_errors, setting_error

    own = inspect.signature(function, eval_str=True).parameters
    made = settings_options(ModelSection, but=("id",))

    def call(model: str, **options: Any) -> None:
        with friendly_errors(), setting_error(ModelSection):
            given = given_settings(ModelSection, {each.name: options.pop(each.name) for each in made})
            section = ModelSection.model_validate({**given, "id": model})
        function(model=section, **options)

    asked = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own.values()]
    asked[0] = asked[0].replace(annotation=MODEL)
    return command(call, [*asked, *made], function.__name__, inspect.getdoc(function) or "")


def command(
    function: Callable[..., None], parameters: list[inspect.Parameter], name: str, about: str
) -> Callable[..., None]:
    """A function whose parameters are ``parameters``, all given by name to ``function``, as typer takes it."""

    def call(**options: Any) -> None:
        function(**options)

    call.__name__, call.__doc__ = name, about
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def option(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """An option or argument that no settings declare."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(settings: type[Settings], name: str, hint: Any, field: FieldInfo) -> inspect.Parameter:
    words, flag = field.description or name.replace("_", " "), option_name(settings, name)
    choices = [str(choice) for choice in get_args(hint)] if get_origin(hint) is Literal else []
    about = [words, *([f"one of {', '.join(choices)}"] if choices else []), *(["repeat"] if _repeated(hint) else [])]
    names = [f"{flag}/--no-{flag.removeprefix('--')}"] if hint is bool else [flag, *_extra(field).get("short", [])]
    default = None if field.default is PydanticUndefined else field.default
    made = typer.Option(*names, help=f"{about[0][:1].upper()}{'; '.join(about)[1:]}.", show_default=default != ())
    return option(name, Annotated[_plain(hint) | None, made], list(default) if _repeated(hint) and default else default)


def _extra(field: FieldInfo) -> dict[str, Any]:
    """What a field says of its option: ``short`` names, the flag that empties its list (``none``), and the name of the
    ``argument``, or option, that it is instead."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _repeated(hint: Any) -> bool:
    """Whether it is a list of any length, or None."""
    return any(Ellipsis in get_args(each) for each in (hint, *get_args(hint)) if get_origin(each) is tuple)


def _plain(hint: Any) -> Any:
    """The type as the command line reads it, settings checking the rest; None where no option can give it."""
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) in (Union, UnionType):
        each = [_plain(part) for part in get_args(hint) if part is not type(None)]
        return each[0] if len(each) == 1 else None
    if get_origin(hint) is tuple:
        parts = [_plain(part) for part in get_args(hint) if part is not Ellipsis]
        if None in parts:
            return None
        return GenericAlias(list, parts[0]) if Ellipsis in get_args(hint) else GenericAlias(tuple, tuple(parts))
    return hint if hint in (bool, int, float, str) else None
