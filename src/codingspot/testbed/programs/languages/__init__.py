"""One table a language; ``LANGUAGES`` holds them all by name."""

from codingspot.testbed.programs.language import Language
from codingspot.testbed.programs.languages import (
    bash,
    cpp,
    csharp,
    go,
    java,
    javascript,
    julia,
    python,
    ruby,
    rust,
    typescript,
)

LANGUAGES: dict[str, Language] = {
    module.LANGUAGE.name: module.LANGUAGE
    for module in (bash, csharp, cpp, go, java, javascript, julia, python, ruby, rust, typescript)
}
"""Every language by its lower-case name."""
