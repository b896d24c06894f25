"""Go, with the standard packages slices and strings."""

from codingspot.testbed.programs.language import Fragment, Language, for_every_kind


def _loop(start: str, action: str) -> tuple[str, ...]:
    return f"OUT := {start}", "for _, EACH := range IN {", f"    {action}", "}"


def _loop_if(start: str, test: str, action: str) -> tuple[str, ...]:
    return (
        f"OUT := {start}",
        "for _, EACH := range IN {",
        f"    if {test} {{",
        f"        {action}",
        "    }",
        "}",
    )


def _keep(test: str, kind: str = "int") -> tuple[str, ...]:
    return _loop_if(f"[]{kind}{{}}", test, "OUT = append(OUT, EACH)")


def _numbers(expression: str) -> tuple[str, ...]:
    return _loop("[]int{}", f"OUT = append(OUT, {expression})")


def _extreme(function: str) -> tuple[str, ...]:
    return "OUT := 0", "if len(IN) > 0 {", f"    OUT = slices.{function}(IN)", "}"


FRAGMENTS: dict[str, Fragment] = {
    "keep_even": _keep("EACH % 2 == 0"),
    "keep_odd": _keep("EACH % 2 != 0"),
    "keep_greater": _keep("EACH > C"),
    "keep_multiples": _keep("EACH % C == 0"),
    "add_each": _numbers("EACH + C"),
    "multiply_each": _numbers("EACH * C"),
    "square_each": _numbers("EACH * EACH"),
    "absolute_each": _numbers("max(EACH, -EACH)"),
    "reverse_list": ("OUT := slices.Clone(IN)", "slices.Reverse(OUT)"),
    "sort_numbers": ("OUT := slices.Clone(IN)", "slices.Sort(OUT)"),
    "unique": _keep("!slices.Contains(OUT, EACH)"),
    "take_first": "IN[:min(C, len(IN))]",
    "drop_first": "IN[min(C, len(IN)):]",
    "running_sum": (
        "OUT := []int{}",
        "LAST := 0",
        "for _, EACH := range IN {",
        "    LAST += EACH",
        "    OUT = append(OUT, LAST)",
        "}",
    ),
    "clip_negatives": _numbers("max(EACH, 0)"),
    "sum": _loop("0", "OUT += EACH"),
    "largest": _extreme("Max"),
    "smallest": _extreme("Min"),
    "count": "len(IN)",
    "count_equal": _loop_if("0", "EACH == C", "OUT++"),
    "add": "IN + C",
    "multiply": "IN * C",
    "remainder": "IN % C",
    "shift": ("OUT := IN + C", "if IN > C {", "    OUT = IN - C", "}"),
    "digit_sum": (
        "OUT := 0",
        "REST := IN",
        "for REST > 0 {",
        "    OUT += REST % 10",
        "    REST /= 10",
        "}",
    ),
    "sum_to": ("OUT := 0", "for EACH := 1; EACH <= IN; EACH++ {", "    OUT += EACH", "}"),
    "uppercase": "strings.ToUpper(IN)",
    "reverse_text": _loop('""', "OUT = string(EACH) + OUT"),
    "append_word": 'IN + "C"',
    "remove_vowels": _loop_if('""', '!strings.ContainsRune("aeiou", EACH)', "OUT += string(EACH)"),
    "length": "len(IN)",
    "count_vowels": _loop_if("0", 'strings.ContainsRune("aeiou", EACH)', "OUT++"),
    "split_words": "strings.Fields(IN)",
    "keep_longer": _keep("len(EACH) > C", "string"),
    "sort_words": ("OUT := slices.Clone(IN)", "slices.Sort(OUT)"),
    "join": 'strings.Join(IN, "C")',
    "count_words": "len(IN)",
    "word_lengths": _numbers("len(EACH)"),
}

_TYPES = {"int": "int", "str": "string", "ints": "[]int", "strs": "[]string"}

LANGUAGE = Language(
    name="go",
    title="Go",
    naming="camel",
    indent="\t",
    comment="//",
    header="func NAME(PARAMETER TYPE) RESULT {",
    footer="}",
    declare=for_every_kind("OUT := VALUE"),
    give=for_every_kind("return VALUE"),
    one_line="semicolons",
    parameter_types=_TYPES,
    types=_TYPES,
    fragments=FRAGMENTS,
)
