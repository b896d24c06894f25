"""The programming languages known by name: one canonical spelling each, with aliases, file extensions and grammar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from codingspot.errors import CorpusError


@dataclass(frozen=True)
class ProgrammingLanguage:
    """A language: its canonical name, how people write it, and what else it is called.

    ``grammar`` is the tree-sitter module that parses it; a language without one can be read but not purified.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    grammar: str | None = None


_KNOWN = (
    ProgrammingLanguage("bash", "Bash", (".sh", ".bash"), ("sh", "shell", "shellscript", "zsh"), "tree_sitter_bash"),
    ProgrammingLanguage("c", "C", (".c", ".h"), (), "tree_sitter_c"),
    ProgrammingLanguage(
        "cpp", "C++", (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx"), ("c++", "cxx", "cc"), "tree_sitter_cpp"
    ),
    ProgrammingLanguage("csharp", "C#", (".cs",), ("c#", "cs", "c-sharp", "c_sharp"), "tree_sitter_c_sharp"),
    ProgrammingLanguage("go", "Go", (".go",), ("golang",), "tree_sitter_go"),
    ProgrammingLanguage("java", "Java", (".java",), (), "tree_sitter_java"),
    ProgrammingLanguage(
        "javascript",
        "JavaScript",
        (".js", ".jsx", ".mjs", ".cjs"),
        ("js", "jsx", "node", "nodejs", "node.js", "ecmascript"),
        "tree_sitter_javascript",
    ),
    ProgrammingLanguage("julia", "Julia", (".jl",), ("jl",), "tree_sitter_julia"),
    ProgrammingLanguage("php", "PHP", (".php",), ("php3", "php4", "php5", "php7", "php8"), "tree_sitter_php"),
    ProgrammingLanguage("python", "Python", (".py",), ("py", "python2", "python3"), "tree_sitter_python"),
    ProgrammingLanguage("ruby", "Ruby", (".rb",), ("rb",), "tree_sitter_ruby"),
    ProgrammingLanguage("rust", "Rust", (".rs",), ("rs",), "tree_sitter_rust"),
    ProgrammingLanguage("typescript", "TypeScript", (".ts", ".tsx"), ("ts", "tsx"), "tree_sitter_typescript"),
    ProgrammingLanguage("haskell", "Haskell", (".hs",), ("hs",)),
    ProgrammingLanguage("html", "HTML", (".html", ".htm"), ("html5",)),
    ProgrammingLanguage("kotlin", "Kotlin", (".kt", ".kts"), ("kt",)),
    ProgrammingLanguage("lua", "Lua", (".lua",)),
    ProgrammingLanguage("matlab", "MATLAB", (".m",)),
    ProgrammingLanguage("perl", "Perl", (".pl", ".pm"), ("pl",)),
    ProgrammingLanguage("r", "R", (".r", ".R"), ("rlang",)),
    ProgrammingLanguage("scala", "Scala", (".scala",)),
    ProgrammingLanguage("sql", "SQL", (".sql",), ("relational database and sql",)),
    ProgrammingLanguage("swift", "Swift", (".swift",)),
)

LANGUAGES: Mapping[str, ProgrammingLanguage] = {language.name: language for language in _KNOWN}
"""Every known language by canonical name."""

PURIFIABLE: tuple[str, ...] = tuple(language.name for language in _KNOWN if language.grammar is not None)
"""Canonical names of the languages that can be purified."""

STUDIED: tuple[str, ...] = tuple(name for name in PURIFIABLE if name not in ("c", "php"))
"""The ten languages of the Coding Spot paper and Python, which the paper leaves out of scoring."""

_BY_SPELLING = {
    spelling: language.name
    for language in _KNOWN
    for spelling in (language.name, language.title.lower(), *language.aliases)
}
_BY_EXTENSION = {extension: language.name for language in _KNOWN for extension in language.extensions}


def canonical_language(spelling: str) -> str | None:
    """The canonical name of a language however it is spelt (``C++``, ``c#``, ``JS``, ``golang``), or None."""
    return _BY_SPELLING.get(spelling.strip().lower())


def language_named(spelling: str) -> ProgrammingLanguage:
    """The language of that name or alias.

    Raises:
        CorpusError: there is none; the message lists those there are.
    """
    name = canonical_language(spelling)
    if name is None:
        raise CorpusError(f"unknown programming language {spelling!r}; use some of {', '.join(LANGUAGES)}")
    return LANGUAGES[name]


def language_of_path(path: str | PurePath) -> str | None:
    """The canonical language of a file by its extension, or None. A ``.h`` file counts as C."""
    suffix = PurePath(path).suffix
    return _BY_EXTENSION.get(suffix) or _BY_EXTENSION.get(suffix.lower())
