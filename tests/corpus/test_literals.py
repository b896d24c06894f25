"""Literals stay whatever is in them: texts made by each language's rules, and what its own tools say of them."""

import ast
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from literal_texts import LITERALS, STATEMENTS, here_documents, nested_here_documents

from codingspot.corpus import purify
from codingspot.corpus.languages import PURIFIABLE
from codingspot.corpus.literals import masked

# As written, and as it should be left.
MISREAD: dict[str, tuple[tuple[str, str], ...]] = {
    "bash": (
        ("cat <<A <<B # a\n# a\nA\n# b\nB\necho # yes\n", "cat <<A <<B\n# a\nA\n# b\nB\necho\n"),
        (": <<'END'\n# no\n   END\n# no\nEND\necho # yes\n", ": <<'END'\n# no\n   END\n# no\nEND\necho\n"),
        ("cat <<-A\n\t# no\n A\n# no\n\tA\n# yes\n", "cat <<-A\n\t# no\n A\n# no\n\tA\n"),
        ("cat <<A\nA \n# no\nA\n# yes\n", "cat <<A\nA \n# no\nA\n"),
        ("cat <<A\n# no \\\nA\n# no\nA\n# yes\n", "cat <<A\n# no \\\nA\n# no\nA\n"),
        ("cat <<\"A B\"\n# no \\\nA B\n# yes\n", 'cat <<"A B"\n# no \\\nA B\n'),
        ("cat <<''\n# no\n\n# yes\n", "cat <<''\n# no\n\n"),
        ('"$(case x in x) cat <<A ;; esac\n# no\nA\n)" # yes\n', '"$(case x in x) cat <<A ;; esac\n# no\nA\n)"\n'),
        ("cat <<A\nThis is the text of it.\n", "cat <<A\nThis is the text of it.\n"),
        ("((x = 1 << 2)) # yes\n# yes\n2\n", "((x = 1 << 2))\n2\n"),
        ("echo a\\\n#no\necho \\\n#yes\n", "echo a\\\n#no\necho \\\n\n"),
        ("case $x in @(#|b)) echo a\\ #no\nesac # yes\n", "case $x in @(#|b)) echo a\\ #no\nesac\n"),
        ("x=$'\\\\' # yes\ny=${x#\\'} z=$# # yes\n", "x=$'\\\\'\ny=${x#\\'} z=$#\n"),
    ),
    "c": (("int a; // yes\rint b;\n", "int a; \rint b;\n"),),
    "csharp": (
        ("#error // no\n#endif // yes\n", "#error // no\n#endif\n"),
        ('var s = $"{x:// no}{{:// {y}"; // yes\n', 'var s = $"{x:// no}{{:// {y}";\n'),
        ('var s = $"""a{x:d} // no"""; // yes\n', 'var s = $"""a{x:d} // no""";\n'),
        ("int a; // yes\u2028int b; // yes\u0085int c;\n", "int a; \u2028int b; \u0085int c;\n"),
    ),
    "java": (
        (
            'String s = """\n  // no \\""" /* no */\n  """; // yes\nchar c = \'"\'; // yes\n',
            'String s = """\n  // no \\""" /* no */\n  """;\nchar c = \'"\';\n',
        ),
        ('String s = """\n  // \\{x /* in */}\n"""; // yes\n', 'String s = """\n  // \\{x}\n""";\n'),
    ),
    "php": (
        ("f(<<<A\n /* no */\n A, <<<'B'\n/* no */\n B); // yes\n", "f(<<<A\n /* no */\n A, <<<'B'\n/* no */\n B);\n"),
        ("$x = <<<'A'\n // {$y /* no */}\nA; // yes\n", "$x = <<<'A'\n // {$y /* no */}\nA;\n"),
        ("<?php\n$x = <<<A\n # no\n /* no */ {$y /* in */}\nA;\n", "<?php\n$x = <<<A\n # no\n /* no */ {$y}\nA;\n"),
        ("<?php # yes ?>\n# no\n<?= 1 // yes ?>// no\n", "<?php ?>\n# no\n<?= 1 ?>// no\n"),
        ("<?php # yes\n__halt_compiler(); # no\n// no\n", "<?php\n__halt_compiler(); # no\n// no\n"),
    ),
    "python": (("x = 1 # yes\ry = '#no'\r", "x = 1 \ry = '#no'\r"),),
    "ruby": (
        (
            "x = <<~A\n  #{f(<<~B)} #{<<C}\n  # no\n  A\n  B\n # no\nC\n  # no\nA\ny = 1 # yes\n",
            "x = <<~A\n  #{f(<<~B)} #{<<C}\n  # no\n  A\n  B\n # no\nC\n  # no\nA\ny = 1\n",
        ),
        ('x = "#{y { <<~B }}\n  # no\n  B\n# no" # yes\n', 'x = "#{y { <<~B }}\n  # no\n  B\n# no"\n'),
        ("x = <<~A\n#{<<B}\ny <<C\nB\n# no\nA\ny # yes\n", "x = <<~A\n#{<<B}\ny <<C\nB\n# no\nA\ny\n"),
        ('x = "#{y << C}" # yes\n# yes\nC\n', 'x = "#{y << C}"\nC\n'),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("language", "written", "pure"), [(name, *case) for name in MISREAD for case in MISREAD[name]])
def test_what_the_grammars_misread_is_read_as_the_language_has_it(language: str, written: str, pure: str) -> None:
    assert purify(written, language) == pure
    assert purify(pure, language) == pure
    assert len(masked(written.encode(), language)) == len(written.encode())


@pytest.mark.parametrize("text", ["#{<<A\n", "#{<<A <<B\n", "cat <<A", "x = <<<A\n", "$((", '"', '"""', "'\n"])
@pytest.mark.parametrize("language", PURIFIABLE)
def test_text_that_never_ends_what_it_opens_is_read(language: str, text: str) -> None:
    assert len(masked(2000 * text.encode(), language)) == 2000 * len(text)


def commented(language: str, literals: list[str]) -> tuple[str, str]:
    """A statement a literal, with a comment after each, and without."""
    comment, statement = STATEMENTS[language]
    opening = "<?php\n" * (language == "php")
    pure = [statement.format(literal) for literal in literals]
    return opening + "".join(f"{comment.format(line)}\n" for line in pure), opening + "".join(
        f"{line}\n" for line in pure
    )


@pytest.mark.parametrize("language", PURIFIABLE)
def test_literals_stay_whatever_is_in_them(language: str) -> None:
    @settings(deadline=None, max_examples=100)
    @given(literals=st.lists(LITERALS[language], min_size=1, max_size=3))
    def check(literals: list[str]) -> None:
        written, pure = commented(language, literals)
        assert purify(written, language) == pure
        assert purify(pure, language) == pure

    check()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(script=here_documents())
def test_bash_runs_what_is_left_of_here_documents_as_it_ran_them(script: tuple[str, str]) -> None:
    written, pure = script
    assert purify(written, "bash") == pure
    assert purify(pure, "bash") == pure
    bash = shutil.which("bash")
    if bash is not None:
        ran = [subprocess.run([bash], input=text.encode(), capture_output=True, check=False) for text in script]
        assert (ran[0].stdout, ran[0].returncode) == (ran[1].stdout, ran[1].returncode)


@settings(deadline=None, max_examples=150)
@given(program=nested_here_documents())
def test_here_documents_in_here_documents_of_ruby_stay(program: str) -> None:
    assert purify(f"x = {program}\ny = 1 # yes\n", "ruby") == f"x = {program}\ny = 1\n"


def examples(language: str, number: int) -> list[tuple[str, str]]:
    """Programs as written and purified, the same at every run."""
    found: list[tuple[str, str]] = []

    @settings(deadline=None, max_examples=number, derandomize=True, database=None)
    @given(literals=st.lists(LITERALS[language], min_size=1, max_size=3))
    def collect(literals: list[str]) -> None:
        written, _ = commented(language, literals)
        found.append((written, purify(written, language)))

    collect()
    return found


def test_python_parses_the_same_literals() -> None:
    for written, pure in examples("python", 100):
        assert ast.dump(ast.parse(pure)) == ast.dump(ast.parse(written))


def test_node_reads_the_same_tokens() -> None:
    node = shutil.which("node")
    script = """
    const { tokenizer } = require('internal/deps/acorn/acorn/dist/acorn');
    const read = text => [...tokenizer(text, { ecmaVersion: 'latest' })];
    const tokens = text => JSON.stringify(read(text).map(token => [token.type.label, token.value]));
    const programs = JSON.parse(require('fs').readFileSync(0));
    console.log(programs.filter(([written, pure]) => tokens(written) === tokens(pure)).length);
    """
    if node is None:
        pytest.skip("node is not installed")
    programs = [pair for pair in examples("javascript", 150) if "<b>" not in pair[0]]  # it knows no markup
    command = [node, "--expose-internals", "-e", script]
    done = subprocess.run(command, input=json.dumps(programs), capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(programs) > 50


def test_javac_compiles_the_same_classes(tmp_path: Path) -> None:
    javac = shutil.which("javac")
    if javac is None:
        pytest.skip("javac is not installed")
    pairs = examples("java", 100)
    compiled = []
    for texts in zip(*pairs, strict=True):
        first, *fields = "".join(texts).split("String x")
        numbered = "".join(f"String x{number}{field}" for number, field in enumerate(fields))
        (tmp_path / "A.java").write_text(f"class A {{\n{first}{numbered}}}\n", encoding="utf-8")
        subprocess.run([javac, "-g:none", "-encoding", "utf-8", "A.java"], cwd=tmp_path, check=True)
        compiled.append((tmp_path / "A.class").read_bytes())
    assert compiled[0] == compiled[1]
