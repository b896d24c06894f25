"""A hook of MkDocs: the reference pages, made from what the program registers, declares and documents.

Nothing that a page says is written twice: methods come from the registries, study keys from the settings' models,
commands from the typer application, the Python reference from each package's public names.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import griffe
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel, TypeAdapter
from typer.cli import get_docs_for_click

from codingspot.catalogue import registries
from codingspot.cli.app import app
from codingspot.importance import ALIASES
from codingspot.registry import Registry, parameter_types
from codingspot.study import Study
from codingspot.views import VIEWS, views

ROOT = Path(__file__).parents[1]
TITLES = {"unit_score": "Scores of units", "method": "Methods of the benchmark"}
NAMES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
BOUNDS = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
LARGEST_SHOWN = 2**32
ROLE = re.compile(r":\w+:(`|<code>)~?(?:[\w.]+\.)?(\w+)")

Schema = Mapping[str, Any]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the site."""
    made = {"methods": methods_page(), "study": study_page(), "commands": commands_page(), **python_pages()}
    for name, text in made.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    files.append(File.generated(config, "changelog.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Names that docstrings refer to, without the markup of Sphinx."""
    return ROLE.sub(r"\1\2", html)


def methods_page() -> str:
    """Every registered method with its documentation, source and options, by sort."""
    about = "Whatever a study file, a command or Python can name, as `codingspot methods` lists it. [Extending]"
    parts = ["# Methods", f"{about}(../extending.md) says how another package adds to them."]
    for registry in registries():
        title = TITLES.get(registry.sort, registry.group.rpartition(".")[2].capitalize())
        parts += [f"## {title} {{ #{registry.sort} }}", *(_method(registry, name) for name in registry)]
        if registry.sort == "estimator":
            parts += [_alias(name, *target) for name, target in ALIASES.items()]
    return "\n\n".join(parts)


def study_page() -> str:
    """Every key of a study file, a section for each mapping in it."""
    schema = Study.model_json_schema()
    schema["properties"]["views"] = {"description": "[views](#views) of the model; none where not given"}
    about = "Made from the settings themselves; what they mean together is told in [Study files](../studies.md)."
    parts = ["# Study keys", about, *_sections("", schema, schema["$defs"], {})]
    parts += ["## `views` { #views }", "`{}` takes a view's defaults; a view without settings is asked for by `true`."]
    for name in views():
        settings = VIEWS[name].model_json_schema()
        parts += _sections(f"views.{name}", settings, settings.get("$defs", {}), {})
    return "\n\n".join(parts)


def commands_page() -> str:
    """Every command with its arguments and options."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="codingspot", title="Commands")
    # Its lists of commands cut their descriptions short, and the page's contents list them.
    return re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+", "", text)


def python_pages() -> dict[str, str]:
    """Page by package: its public names where they are defined, each on the page of the first package that has it."""
    root = griffe.load("codingspot", search_paths=[ROOT / "src"], resolve_aliases=True)
    pages: dict[str, str] = {}
    shown: set[str] = set()
    for package in sorted(root.modules.values(), key=lambda module: module.name):
        paths = [path for path in _public(package) if path not in shown]
        shown.update(paths)
        if paths:
            about = _prose(package.docstring.value if package.docstring else "")
            pages[f"python/{package.name}"] = _python_page(f"codingspot.{package.name}", about, paths)
    names = "\n".join(f"- [`{path.rpartition('.')[2]}`][{path}]" for path in _public(root))
    rest = [path for path in _public(root) if path not in shown]
    return {"python": _python_page("Python", f"What `import codingspot` gives:\n\n{names}", rest), **pages}


def _public(package: griffe.Object | griffe.Alias) -> list[str]:
    """Where the public names of a package are defined."""
    return [_home(package, str(name)) for name in package.exports or ()]


def _home(holder: griffe.Object | griffe.Alias, name: str) -> str:
    """Where a name is defined: a module may bear the name of what is imported from it, and hide it."""
    if name not in holder.imports:
        return f"{holder.path}.{name}"
    module, _, imported = holder.imports[name].rpartition(".")
    return _home(holder.modules_collection[module], imported)


def _python_page(title: str, about: str, paths: list[str]) -> str:
    return "\n\n".join([f"# {title}", about, *(f"::: {path}" for path in paths)])


def _method(registry: Registry[Any, Any], name: str) -> str:
    function = registry[name]
    parts = [f"### `{name}` {{ #{registry.sort}-{name} }}", _prose(inspect.getdoc(function) or "")]
    if registry.reference(name):
        parts.append(f"Source: {registry.reference(name)}.")
    if inspect.isclass(function) and issubclass(function, BaseModel):
        parts.append(_table(function.model_json_schema(), str))
    else:
        parts.append(_parameters(registry, name))
    return "\n\n".join(part for part in parts if part)


def _alias(name: str, target: str, parameters: Mapping[str, Any]) -> str:
    settings = ", ".join(f"`{key}: {value}`" for key, value in parameters.items())
    return f"### `{name}` {{ #estimator-{name} }}\n\nRuns [`{target}`](#estimator-{target}) with {settings}."


def _parameters(registry: Registry[Any, Any], name: str) -> str:
    defaults = registry.parameters(name)
    hints = parameter_types(registry[name]) if defaults else {}
    described = _described(inspect.getdoc(registry[name]) or "")
    properties = {}
    for key, default in defaults.items():
        schema = TypeAdapter(hints.get(key, Any)).json_schema()
        given = {} if default is inspect.Parameter.empty else {"default": default}
        properties[key] = {**schema, **given, "description": described.get(key, "")}
    return _table({"properties": properties}, str)


def _sections(path: str, schema: Schema, definitions: Schema, anchors: dict[str, str]) -> Iterator[str]:
    """A section of the page for a mapping, and then for each of those in it; ``anchors`` has those that have one."""
    if path:
        yield f"## `{path}` {{ #{_anchor(path)} }}"
        yield _prose(str(schema.get("description", "")))
    inner = {}
    for key, value in schema.get("properties", {}).items():
        references = re.findall(r"#/\$defs/(\w+)", str(value))
        for name in references[:1]:
            value.setdefault("description", str(definitions[name].get("description", "")).partition("\n")[0])
        for name in references:
            if name not in anchors:
                inner[name] = f"{path}.{key}{'[]' if 'array' in str(value) else ''}".lstrip(".")
                anchors[name] = _anchor(inner[name])
    yield _table(schema, lambda name: f"[mapping](#{anchors[name]})")
    for name, place in inner.items():
        yield from _sections(place, definitions[name], definitions, anchors)


def _table(schema: Schema, link: Callable[[str], str]) -> str:
    """Key, type, default and description of every property."""
    described = _described(str(schema.get("description", "")))
    rows = []
    for key, value in schema.get("properties", {}).items():
        default = "required" if key in schema.get("required", ()) else _default(value.get("default"))
        about = _prose(value.get("description") or described.get(key, ""))
        rows.append((f"`{key}`", _type(value, link), default, about))
    if not rows:
        return ""
    columns = [cells for cells in zip(("key", "type", "default", "what it is"), *rows, strict=True) if any(cells[1:])]
    lines = [*zip(*columns, strict=True)]
    lines.insert(1, ("---",) * len(columns))
    return "\n".join(_row(line) for line in lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _type(value: Schema, link: Callable[[str], str]) -> str:
    if "$ref" in value:
        return link(value["$ref"].rsplit("/", 1)[1])
    if "enum" in value or "const" in value:
        return ", ".join(f"`{choice}`" for choice in value.get("enum", [value.get("const")]))
    options = value.get("anyOf", value.get("oneOf"))
    if options:
        names = [_type(option, link) for option in options if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(names))
    if value.get("type") == "array":
        items = value.get("items") or {"anyOf": value.get("prefixItems", [])}
        return f"list of {_type(items, link)}"
    if value.get("type") == "object":
        return "mapping"
    bounds = [f"{word} {value[key]:,g}" for key, word in BOUNDS.items() if abs(value.get(key, 2**63)) < LARGEST_SHOWN]
    return " ".join([NAMES.get(str(value.get("type")), ""), " and ".join(bounds)]).strip()


def _default(value: Any) -> str:
    if value in (None, (), [], "") or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _anchor(path: str) -> str:
    return re.sub(r"\W+", "-", path).strip("-")


def _described(docstring: str) -> dict[str, str]:
    """What a docstring in Google's style says of each parameter or attribute."""
    found = {}
    for section in griffe.Docstring(docstring).parse("google", warnings=False):
        if section.kind in (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes):
            found.update({item.name: item.description for item in section.value})
    return found


def _prose(docstring: str) -> str:
    """A docstring's text, without its sections and Sphinx's markup, as Markdown."""
    sections = griffe.Docstring(inspect.cleandoc(docstring)).parse("google", warnings=False)
    text = "\n\n".join(section.value for section in sections if section.kind is griffe.DocstringSectionKind.text)
    return ROLE.sub(r"\1\2", text)
