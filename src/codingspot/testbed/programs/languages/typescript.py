"""TypeScript: JavaScript's fragments, with types where inference doesn't supply them."""

from codingspot.testbed.programs.language import Fragment, Language, for_every_kind
from codingspot.testbed.programs.languages import javascript

FRAGMENTS: dict[str, Fragment] = {
    **javascript.FRAGMENTS,
    "running_sum": (
        "const OUT: number[] = [];",
        "let LAST = 0;",
        "for (const EACH of IN) {",
        "    LAST += EACH;",
        "    OUT.push(LAST);",
        "}",
    ),
}

_TYPES = {"int": "number", "str": "string", "ints": "number[]", "strs": "string[]"}

LANGUAGE = Language(
    name="typescript",
    title="TypeScript",
    naming="camel",
    indent="  ",
    comment="//",
    header="function NAME(PARAMETER: TYPE): RESULT {",
    footer="}",
    declare=for_every_kind("const OUT = VALUE;"),
    give=for_every_kind("return VALUE;"),
    one_line="spaces",
    parameter_types=_TYPES,
    types=_TYPES,
    fragments=FRAGMENTS,
)
