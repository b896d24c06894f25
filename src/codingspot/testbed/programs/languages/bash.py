"""Bash: a list comes as the arguments, a text or a number as the first one; the result is echoed."""

from codingspot.testbed.programs.language import Fragment, Language


def _collect(action: str) -> tuple[str, ...]:
    return "local OUT=()", f'for EACH in "${{IN[@]}}"; do {action}; done'


def _tally(action: str) -> tuple[str, ...]:
    return "local OUT=0", f'for EACH in "${{IN[@]}}"; do {action}; done'


def _extreme(comparison: str) -> tuple[str, ...]:
    return (
        "local OUT=${IN[0]:-0}",
        f'for EACH in "${{IN[@]}}"; do (( EACH {comparison} OUT )) && OUT=$EACH; done',
    )


FRAGMENTS: dict[str, Fragment] = {
    "keep_even": _collect('(( EACH % 2 == 0 )) && OUT+=("$EACH")'),
    "keep_odd": _collect('(( EACH % 2 != 0 )) && OUT+=("$EACH")'),
    "keep_greater": _collect('(( EACH > C )) && OUT+=("$EACH")'),
    "keep_multiples": _collect('(( EACH % C == 0 )) && OUT+=("$EACH")'),
    "add_each": _collect("OUT+=($(( EACH + C )))"),
    "multiply_each": _collect("OUT+=($(( EACH * C )))"),
    "square_each": _collect("OUT+=($(( EACH * EACH )))"),
    "absolute_each": _collect("OUT+=(${EACH#-})"),
    "reverse_list": _collect('OUT=("$EACH" "${OUT[@]}")'),
    "sort_numbers": "$(printf '%s\\n' \"${IN[@]}\" | sort -n)",
    "unique": _collect('[[ " ${OUT[*]} " == *" $EACH "* ]] || OUT+=("$EACH")'),
    "take_first": '"${IN[@]:0:C}"',
    "drop_first": '"${IN[@]:C}"',
    "running_sum": (
        "local OUT=() LAST=0",
        'for EACH in "${IN[@]}"; do (( LAST += EACH )); OUT+=("$LAST"); done',
    ),
    "clip_negatives": _collect("OUT+=($(( EACH > 0 ? EACH : 0 )))"),
    "sum": _tally("(( OUT += EACH ))"),
    "largest": _extreme(">"),
    "smallest": _extreme("<"),
    "count": "${#IN[@]}",
    "count_equal": _tally("(( EACH == C )) && (( OUT += 1 ))"),
    "add": "$(( IN + C ))",
    "multiply": "$(( IN * C ))",
    "remainder": "$(( IN % C ))",
    "shift": "$(( IN > C ? IN - C : IN + C ))",
    "digit_sum": (
        "local OUT=0 REST=$IN",
        "while (( REST > 0 )); do (( OUT += REST % 10, REST /= 10 )); done",
    ),
    "sum_to": ("local OUT=0", "for (( EACH = 1; EACH <= IN; EACH++ )); do (( OUT += EACH )); done"),
    "uppercase": "${IN^^}",
    "reverse_text": (
        'local OUT=""',
        'for (( EACH = 0; EACH < ${#IN}; EACH++ )); do OUT="${IN:EACH:1}$OUT"; done',
    ),
    "append_word": "${IN}C",
    "remove_vowels": "${IN//[aeiou]/}",
    "length": "${#IN}",
    "count_vowels": ('local REST="${IN//[^aeiou]/}"', "local OUT=${#REST}"),
    "split_words": "$IN",
    "keep_longer": _collect('(( ${#EACH} > C )) && OUT+=("$EACH")'),
    "sort_words": "$(printf '%s\\n' \"${IN[@]}\" | sort)",
    "join": '$(IFS=C; echo "${IN[*]}")',
    "count_words": "${#IN[@]}",
    "word_lengths": _collect("OUT+=(${#EACH})"),
}

_TEXT = 'local OUT="VALUE"'
_LIST = "local OUT=(VALUE)"

LANGUAGE = Language(
    name="bash",
    title="Bash",
    naming="snake",
    indent="    ",
    comment="#",
    header="NAME() {",
    footer="}",
    opening={
        "int": "local PARAMETER=$1",
        "str": "local PARAMETER=$1",
        "ints": 'local PARAMETER=("$@")',
        "strs": 'local PARAMETER=("$@")',
    },
    declare={"int": "local OUT=VALUE", "str": _TEXT, "ints": _LIST, "strs": _LIST},
    give={"int": "echo VALUE", "str": 'echo "VALUE"', "ints": "echo VALUE", "strs": "echo VALUE"},
    refer={"int": "$OUT", "str": "$OUT", "ints": '"${OUT[@]}"', "strs": '"${OUT[@]}"'},
    one_line="semicolons",
    fragments=FRAGMENTS,
)
