"""Programs made of statements with a literal each, whose text is anything that the rules of the language allow."""

import re

from hypothesis import strategies as st

PIECES = (
    *(
        "//",
        "/*",
        "*/",
        "#",
        "# a",
        " # a",
        " // a",
        "\n",
        "\n# b",
        "\n  // b",
        "\n/* c",
        "\n\n",
        "<!--",
        "\n-->",
        "--",
    ),
    *("x", "E", "\nE", "\n E ", "\nE1", "\n\tE", " ", "'", '"', '""', "`", "{", "}", "(", ")", "[", "]", "$", "@"),
    *(
        "%",
        "\\",
        "\n=begin\n",
        "\n__END__\n",
        "<<E",
        "<<<E",
        "?>",
        "<?php",
        "</a>",
        "don't",
        "!",
        ":",
        ";",
        "\r\n",
        "é",
    ),
)
Literals = st.SearchStrategy[str]


def pieces(*without: str) -> Literals:
    """Pieces in any order, with nothing in them that holds one of ``without``."""
    chosen = [piece for piece in PIECES if not any(bad in piece for bad in without)]
    return st.lists(st.sampled_from(chosen), max_size=8).map("".join)


def between(opening: str, closing: str, *without: str) -> Literals:
    """Text as it is, up to ``closing``, which does not stand in it, nor at its end in part."""
    return (
        pieces(*without)
        .filter(lambda text: closing not in (text + closing)[:-1] and closing not in (text + closing)[: -len(closing)])
        .map(lambda text: opening + text + closing)
    )


def escaped(opening: str, *special: str, without: tuple[str, ...] = ("\n",)) -> Literals:
    """Text in which a backslash stands before backslashes, the quote and what else is ``special``."""
    must = re.compile("|".join(map(re.escape, ("\\", opening[-1], *special))))
    closing = opening.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ$@")
    return pieces(*without).map(lambda text: opening + must.sub(lambda found: "\\" + found[0], text) + closing)


LONG = ("\r",)  # carriage returns in a text of several lines depend on the file
LITERALS: dict[str, Literals] = {
    "bash": st.one_of(
        between("'", "'", "'"),
        escaped('"', "`", "$", without=("!",)),
        escaped("$'", without=()),
        pieces("]", "\n", "'", '"', "\\", "}", "`", "$", "{", "\r", "(", ")", "<", ";", " ").map("${{x#{}}}".format),
    ),
    "c": st.one_of(escaped('"', without=("\n", "\r", "?"))),
    "cpp": st.one_of(escaped('"', without=("\n", "\r", "?")), between('R"(', ')"'), between('u8R"E(', ')E"')),
    "csharp": st.one_of(
        escaped('"'),
        between('@"', '"', '"', "\r"),
        pieces("\r").map(lambda text: '@"' + text.replace('"', '""') + '"'),
        pieces('"', "\r").map('"""\n{}\n"""'.format),
        pieces('"', "\r").map('""""\n""" {}\n""""'.format),
        pieces("\n", "\r", '"', "{", "}", "\\").map('$"{{{{{0}{{x}}{0}"'.format),
        pieces("\r", '"', "{", "}").map('$@"{0}{{x}}{0}"'.format),
        pieces("\r", '"', "{", "}").map('$"""\n{0}{{x}}{0}\n"""'.format),
    ),
    "go": st.one_of(escaped('"', without=("\n", "\r", "é")), between("`", "`", "`", "\r")),
    "java": st.one_of(
        escaped('"', without=("\n", "\r")),
        pieces("\r").map(
            # of four quotes the last three would close the text if the first alone were escaped
            lambda text: '"""\n' + re.sub(r'"(?="")', r"\"", text.replace("\\", "\\\\")).rstrip('"') + 'x"""'
        ),
        pieces("\r").map(lambda text: '"""\n' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'),
    ),
    "javascript": st.one_of(
        escaped("'"),
        escaped('"', without=("\n", "\r")),
        escaped("`", "$", without=LONG),
        pieces("\r", "`", "\\", "$", "{").map("`{0}${{`{0}`}}{0}`".format),
        pieces("\n", "\r").map(lambda text: "/x" + re.sub(r"\W", lambda found: "\\" + found[0], text) + "/g"),
        pieces("\n", "\r", "]", "\\", "[", "-").map("/[x{}]/g".format),
        pieces("{", "}", "<", ">", "\r").map("<b>x{}</b>".format),
    ),
    "julia": st.one_of(
        escaped('"', "$", without=LONG),
        between('raw"', '"', '"', "\\", "\r"),
        between('"""', '"""', '"', "\\", "$", "\r"),
        between('r"', '"i', '"', "\\", "\r"),
        between("`", "`", "`", "\\", "$", "\r"),
        pieces("\r").map(lambda text: '"""' + re.sub(r'[\\$"]', lambda found: "\\" + found[0], text) + '"""'),
    ),
    "php": st.one_of(
        escaped("'", without=LONG),
        escaped('"', "$", without=(*LONG, "{")),
        st.tuples(
            pieces("E", "\r", "\\", "$", "{"), st.sampled_from(("E", "'E'", '"E"')), st.sampled_from(("", "  "))
        ).map(lambda made: f"<<<{made[1]}\n{made[2]}" + f"{made[0]}".replace("\n", f"\n{made[2]}") + f"\n{made[2]}E"),
        pieces("E", "\r", "\\", "$").map("<<<E\n{0}{{$x}}{0}\nE".format),
        pieces("E", "\r", "\\", "$").map("[<<<E\n{0}\nE, <<<'E'\n{0}\nE]".format),
    ),
    "python": st.one_of(
        escaped("'", without=("\n", "\r")),
        escaped('b"', without=("\n", "\r", "é")),
        between('r"', '"', '"', "\\", "\n", "\r"),
        between("'''", "'''", "'", "\\", "\r"),
        between('rb"""', '"""', '"', "\\", "\r", "é"),
        pieces("\n", "\r", "'", "\\", "{", "}").map("f'{{{{{0}{{x!r:>4}}{0}'".format),
        pieces('"', "\r", "\\", "{", "}").map('f"""{0}{{x["#"]}}{0}"""'.format),
    ),
    "ruby": st.one_of(
        escaped("'", without=LONG),
        escaped('"', "#", without=LONG),
        pieces("(", ")", "\\", "\r").map("%q({})".format),
        pieces("/", "\\", "\r", "#", "[", "]", "(", ")", "{", "}").map("/x{}/".format),
        pieces('"', "\\", "\r", "#", "{", "}", "<<").map('"{0}#{{x}}{0}"'.format),
    ),
    "rust": st.one_of(
        escaped('"', without=LONG),
        between('r"', '"', '"', "\r"),
        between('r#"', '"#', '"#', "\r"),
        between('br##"', '"##', '"#', "\r", "é"),
    ),
    "typescript": st.one_of(
        escaped("'"),
        escaped("`", "$", without=LONG),
        pieces("\r", "`", "\\", "$", "{").map("`{0}${{`{0}` as T<U<V>>}}{0}`".format),
        pieces("\n", "\r").map(lambda text: "/x" + re.sub(r"\W", lambda found: "\\" + found[0], text) + "/g"),
        pieces("\n", "\r", "'", "\\").map("f<Array<'{}'>>(x)".format),
    ),
}
# How a comment is put after a statement, and a literal in one.
_HASH, _SLASHES = "{} # don't", "{} // don't"
STATEMENTS: dict[str, tuple[str, str]] = {
    "bash": (_HASH, "x={}"),
    "c": (_SLASHES, "char *x = {};"),
    "cpp": ("{} /* don't */", "auto x = {};"),
    "csharp": (_SLASHES, "var x = {};"),
    "go": (_SLASHES, "var x = {}"),
    "java": (_SLASHES, "String x = {};"),
    "javascript": (_SLASHES, "x = {};"),
    "julia": (_HASH, "x = {}"),
    "php": (_HASH, "$x = {};"),
    "python": (_HASH, "x = {}"),
    "ruby": (_HASH, "x = {}"),
    "rust": (_SLASHES, "let x = {};"),
    "typescript": (_SLASHES, "x = {};"),
}

_BODY = st.lists(
    st.sampled_from(
        (
            "# a",
            "  # b",
            "\t# c",
            "A",
            " A",
            "A ",
            "\tA",
            "E",
            "it's",
            '"',
            "$(",
            "`b",
            "${",
            "$x",
            "<<A",
            "(",
            ")",
            "case",
        ),
    )
    | st.sampled_from(("", "\\", "x \\", "x \\\\", "A\\", "cat <<E # d", "B", "C", "}", "fi")),
    max_size=6,
)


def _bash_ends(lines: list[str], delimiter: str, tabs: bool, raw: bool) -> bool:
    """Whether a here-document ends before all its lines are read, or reads on after them (POSIX 2.7.4)."""
    text = "\n".join(lines)
    if not raw:
        text = re.sub(r"(?<!\\)((?:\\\\)*)\\(\n|$)", lambda end: end[1] + "!" * (end[2] == ""), text)
    read = [line.lstrip("\t") if tabs else line for line in text.split("\n")]
    return bool(lines) and (delimiter in read or (not raw and text.endswith("!")))


@st.composite
def _bash_document(draw: st.DrawFn) -> tuple[str, str]:
    """The operator, and the lines of the body with its end."""
    tabs = draw(st.booleans())
    word, delimiter = draw(
        st.sampled_from(
            (("A", "A"), ("E", "E"), ("'A'", "A"), ('"A "', "A "), ("\\A", "A"), ("''", ""), ("E'-'1", "E-1"))
        )
    )
    raw = word != delimiter
    lines = [line for line in draw(_BODY) if raw or not re.search("[$`]", line)]
    while _bash_ends(lines, delimiter, tabs, raw):
        lines.pop()
    end = draw(st.sampled_from(("", "\t", "\t\t"))) * tabs + delimiter
    return f"<<{'-' * tabs}{draw(st.sampled_from(('', ' ')))}{word}", "".join(f"{line}\n" for line in [*lines, end])


_BASH_COMMANDS = (
    "cat {first} {second}{remark}\n{bodies}",
    "cat {first}; cat {second} | sed 's/#/x/'{remark}\n{bodies}",
    'x=$(cat {first} {second}{remark}\n{bodies}){remark}\necho "$x"{remark}\n',
    'echo "$(cat {first} && cat {second}{remark}\n{bodies})"{remark}\n',
    'while read -r x; do echo "$x"{remark}\ndone {first} {second}{remark}\n{bodies}',
    "if true; then cat {first}; cat {second}; fi{remark}\n{bodies}",
    "case x in x) cat {first} {second};; esac{remark}\n{bodies}",
    'echo ${{PWD#/*}} $# $((1 << 2)) $((16#ff)) "#" <<< "# x"; cat {first} {second}{remark}\n{bodies}',
    "(( x = 1 << 2 )); f() {{{remark}\n cat {first}; cat {second}{remark}\n{bodies}}}\nf{remark}\n",
)


@st.composite
def here_documents(draw: st.DrawFn) -> tuple[str, str]:
    """A script of commands with two here-documents each, with comments and without."""
    made = []
    for command in draw(st.lists(st.sampled_from(_BASH_COMMANDS), min_size=1, max_size=3)):
        (first, body), (second, other) = draw(_bash_document()), draw(_bash_document())
        parts = {"first": first, "second": second, "bodies": body + other}
        made.append(tuple(command.format(remark=remark, **parts) for remark in (" # don't", "")))
    return "".join(written for written, _ in made), "".join(pure for _, pure in made)


@st.composite
def nested_here_documents(draw: st.DrawFn, names: str = "ABC") -> str:
    """A here-document of Ruby with others in its interpolations, whose text may hold the ends of those around them."""
    name, inner = names[0], names[1:]
    made = [f"<<~{name}"]
    for line in draw(_BODY):
        if line.strip() != name and not line.endswith("\\") and "<<" not in line:
            made.append(line)
        elif inner:
            opening, _, body = draw(nested_here_documents(inner)).partition("\n")
            made += [f"{line.replace('<<', '').strip(chr(92))} #{{{opening}.strip}} # b", body]
    return "\n".join([*made, f"  {name}"])
