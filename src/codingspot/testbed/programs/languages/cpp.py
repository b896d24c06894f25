"""C++, written for a file that says ``using namespace std``."""

from codingspot.testbed.programs.language import Fragment, Language, for_every_kind


def _numbers(action: str) -> tuple[str, ...]:
    return "vector<int> OUT;", f"for (int EACH : IN) {action}"


def _keep(test: str) -> tuple[str, ...]:
    return "vector<int> OUT;", "for (int EACH : IN) {", f"    if ({test}) OUT.push_back(EACH);", "}"


def _letters(declaration: str, test: str, action: str) -> tuple[str, ...]:
    return declaration, "for (char EACH : IN) {", f"    if ({test}) {action}", "}"


FRAGMENTS: dict[str, Fragment] = {
    "keep_even": _keep("EACH % 2 == 0"),
    "keep_odd": _keep("EACH % 2 != 0"),
    "keep_greater": _keep("EACH > C"),
    "keep_multiples": _keep("EACH % C == 0"),
    "add_each": _numbers("OUT.push_back(EACH + C);"),
    "multiply_each": _numbers("OUT.push_back(EACH * C);"),
    "square_each": _numbers("OUT.push_back(EACH * EACH);"),
    "absolute_each": _numbers("OUT.push_back(abs(EACH));"),
    "reverse_list": ("vector<int> OUT = IN;", "reverse(OUT.begin(), OUT.end());"),
    "sort_numbers": ("vector<int> OUT = IN;", "sort(OUT.begin(), OUT.end());"),
    "unique": _keep("count(OUT.begin(), OUT.end(), EACH) == 0"),
    "take_first": _keep("OUT.size() < C"),
    "drop_first": (
        "vector<int> OUT;",
        "for (int step = C; step < IN.size(); step++) OUT.push_back(IN[step]);",
    ),
    "running_sum": (
        "vector<int> OUT;",
        "int LAST = 0;",
        "for (int EACH : IN) {",
        "    LAST += EACH;",
        "    OUT.push_back(LAST);",
        "}",
    ),
    "clip_negatives": _numbers("OUT.push_back(EACH > 0 ? EACH : 0);"),
    "sum": ("int OUT = 0;", "for (int EACH : IN) OUT += EACH;"),
    "largest": "IN.empty() ? 0 : *max_element(IN.begin(), IN.end())",
    "smallest": "IN.empty() ? 0 : *min_element(IN.begin(), IN.end())",
    "count": "IN.size()",
    "count_equal": "count(IN.begin(), IN.end(), C)",
    "add": "IN + C",
    "multiply": "IN * C",
    "remainder": "IN % C",
    "shift": "IN > C ? IN - C : IN + C",
    "digit_sum": (
        "int OUT = 0;",
        "int REST = IN;",
        "while (REST > 0) {",
        "    OUT += REST % 10;",
        "    REST /= 10;",
        "}",
    ),
    "sum_to": ("int OUT = 0;", "for (int EACH = 1; EACH <= IN; EACH++) OUT += EACH;"),
    "uppercase": ("string OUT = IN;", "for (char& EACH : OUT) EACH = toupper(EACH);"),
    "reverse_text": ("string OUT = IN;", "reverse(OUT.begin(), OUT.end());"),
    "append_word": 'IN + "C"',
    "remove_vowels": _letters("string OUT;", '!strchr("aeiou", EACH)', "OUT += EACH;"),
    "length": "IN.size()",
    "count_vowels": _letters("int OUT = 0;", 'strchr("aeiou", EACH)', "OUT++;"),
    "split_words": (
        "vector<string> OUT;",
        "stringstream REST(IN);",
        "for (string EACH; REST >> EACH;) OUT.push_back(EACH);",
    ),
    "keep_longer": (
        "vector<string> OUT;",
        "for (string EACH : IN) {",
        "    if (EACH.size() > C) OUT.push_back(EACH);",
        "}",
    ),
    "sort_words": ("vector<string> OUT = IN;", "sort(OUT.begin(), OUT.end());"),
    "join": ("string OUT;", 'for (string EACH : IN) OUT += (OUT.empty() ? "" : "C") + EACH;'),
    "count_words": "IN.size()",
    "word_lengths": ("vector<int> OUT;", "for (string EACH : IN) OUT.push_back(EACH.size());"),
}

_TYPES = {"int": "int", "str": "string", "ints": "vector<int>", "strs": "vector<string>"}

LANGUAGE = Language(
    name="cpp",
    title="C++",
    naming="snake",
    indent="    ",
    comment="//",
    header="RESULT NAME(TYPE PARAMETER) {",
    footer="}",
    declare=for_every_kind("TYPE OUT = VALUE;"),
    give=for_every_kind("return VALUE;"),
    one_line="spaces",
    parameter_types=_TYPES,
    types=_TYPES,
    fragments=FRAGMENTS,
)
