"""Programs in which comments are hard to tell from code, as written and as they should be left, by language."""

NASTY: dict[str, tuple[tuple[str, str], ...]] = {
    "bash": (
        ("#!/usr/bin/env bash\n# licence\n\nx=1\n", "x=1\n"),
        ('x="${y#prefix}" # cut\necho "${#a[@]}" a#b \\# "#"\n', 'x="${y#prefix}"\necho "${#a[@]}" a#b \\# "#"\n'),
        ("cat <<EOF # body\n# stays\n$(date) # stays\nEOF\n", "cat <<EOF\n# stays\n$(date) # stays\nEOF\n"),
        ("echo a \\\n  # not joined\necho b\n", "echo a \\\n\necho b\n"),
        ("x=$(ls # in\n)\n", "x=$(ls\n)\n"),
        ("case $1 in # which\n  a) f ;; # one\n  # two\n  *) g ;;\nesac\n", "case $1 in\n  a) f ;;\n  *) g ;;\nesac\n"),
        ("echo 'it # is' $'a\\'# b'\n", "echo 'it # is' $'a\\'# b'\n"),
    ),
    "c": (
        ("/* (c) 2020\n * licence */\n\nint x;\n", "int x;\n"),
        ("int/**/y = a/**/+/**/+b;\n", "int y = a+ +b;\n"),
        ("f(/* a */b /* c */, /* d */ c);\n", "f(b, c);\n"),
        (
            'char *s = "// no /* no */"; // yes\nchar c = \'"\'; /* yes */\n',
            'char *s = "// no /* no */";\nchar c = \'"\';\n',
        ),
        ("int x; // a \\\n   still a\nint y;\n", "int x;\nint y;\n"),
        ('#define S "/* no */ // no" /* yes */ 2 // yes\n', '#define S "/* no */ // no" 2\n'),
        ("#define M(a) \\\n  /* in */ a \\\n  + 1 /* end */\n", "#define M(a) \\\n  a \\\n  + 1\n"),
        ("#ifdef A // why\n#include <a.h> /* so */\n#endif /* A */\n", "#ifdef A\n#include <a.h>\n#endif\n"),
        ("#error don't do this // note\nint x;\n", "#error don't do this\nint x;\n"),
        ("int a = b /* x */ / /* y */ c;\n", "int a = b / c;\n"),
        ("int c = 'a/* no */';\n", "int c = 'a/* no */';\n"),
    ),
    "cpp": (
        ('auto s = R"x(// no )" /* no */)x"; // yes\n', 'auto s = R"x(// no )" /* no */)x";\n'),
        ('#define R1 R"(// " no)" // yes\n', '#define R1 R"(// " no)"\n'),
        ("std::vector<std::vector<int>/**/> v;\n", "std::vector<std::vector<int> > v;\n"),
        ("int n = 1'000'000; // '\n", "int n = 1'000'000;\n"),
    ),
    "csharp": (
        (
            '#region Some words\n/// <a>doc</a>\nclass A { string s = @"// ""no"" /* no */"; }\n#endregion // A\n',
            '#region Some words\nclass A { string s = @"// ""no"" /* no */"; }\n#endregion\n',
        ),
        ('class A { string t = $"{x /* in */} // no"; }\n', 'class A { string t = $"{x} // no"; }\n'),
        ('class A { string r = """\n // no\n """; // yes\n}\n', 'class A { string r = """\n // no\n """;\n}\n'),
    ),
    "go": (
        ("//go:build linux\n\n// Package a.\npackage a\n", "package a\n"),
        ("package a\n\nvar s = `// no\n/* no */` // yes\n", "package a\n\nvar s = `// no\n/* no */`\n"),
        ("package a\n\nvar r = '\"' /* a */ + 1\n", "package a\n\nvar r = '\"' + 1\n"),
    ),
    "java": (
        (
            '/** Doc. */\nclass A {\n  // one\n\n  // two\n  String s = "/* no */"; /* yes\n  */\n}\n',
            'class A {\n  String s = "/* no */";\n}\n',
        ),
        ('class A { String s = """\n  // no\n  """; }\n', 'class A { String s = """\n  // no\n  """; }\n'),
        ("class A { int /* a\nb */ x; }\n", "class A { int x; }\n"),
    ),
    "javascript": (
        ("#!/usr/bin/env node\n'use strict';\n", "'use strict';\n"),
        ("let a = `x ${b /* in */} // no`; // yes\n", "let a = `x ${b} // no`;\n"),
        ("let r = /[/*]/ /* e */.test(x);\n", "let r = /[/*]/ .test(x);\n"),
        ("let j = <a>{/* in */} // text </a>;\n", "let j = <a>{} // text </a>;\n"),
        ("function f() { return /*\n*/ x }\n", "function f() { return\nx }\n"),
        ('let u = "http://x"; // y\n<!-- old\n', 'let u = "http://x";\n'),
    ),
    "julia": (
        ('"""\n    f(x)\n\nDoc.\n"""\nf(x) = x # yes\n', "f(x) = x\n"),
        ("#= a #= nested =# b =#\ny = 1\n", "y = 1\n"),
        ('x = "# no $(f(1) #= in =#) #= no =#"\n', 'x = "# no $(f(1)) #= no =#"\n'),
        ('@doc raw"""long""" h(x) = 2\n@doc "text" h\n', "h(x) = 2\n"),
        ('function f()\n    "doc"\n    g()\n    "value"\nend\n', 'function f()\n    g()\n    "value"\nend\n'),
        ('x = if c\n    "a"\nelse\n    "b"\nend\n', 'x = if c\n    "a"\nelse\n    "b"\nend\n'),
        ("c = '#'; s = :sym # '\n", "c = '#'; s = :sym\n"),
    ),
    "php": (
        ("#!/usr/bin/env php\n<?php // a ?> html # no // no <!-- no -->\n", "<?php ?> html # no // no <!-- no -->\n"),
        ("<?php\n# one\n/* two */ #[Attribute]\nfunction f() {}\n", "<?php\n#[Attribute]\nfunction f() {}\n"),
        ("<?php\n$x = <<<EOT\n// no {$y /* in */}\nEOT;\n", "<?php\n$x = <<<EOT\n// no {$y}\nEOT;\n"),
        ("// bare\n$x = '# no'; # yes\n", "$x = '# no';\n"),
    ),
    "python": (
        ('#!/usr/bin/python3\n# -*- coding: utf-8 -*-\n"""Module."""\n\nimport os\n', "import os\n"),
        ('def f():\n    """Doc."""\n\n    # why\n    return "#"  # so\n', 'def f():\n    return "#"\n'),
        ('class A: "doc"; x = 1\nclass B: x = 1; "doc"\n', "class A: x = 1\nclass B: x = 1\n"),
        ('def f():\n    # a\n    """Doc."""\n    # b\n\nx = 1\n', "def f():\n    pass\n\nx = 1\n"),
        ('x = """# no"""\nf"{a}"\n("kept")\n"a", "b"\n', 'x = """# no"""\nf"{a}"\n("kept")\n"a", "b"\n'),
        ("x = (1 +  # one\n     # two\n     2)\n", "x = (1 +\n     2)\n"),
        ('"""a""" """b"""\ny = 1\n', "y = 1\n"),
    ),
    "ruby": (
        ("# frozen_string_literal: true\n\n=begin\ntext\n=end\nx = 1\n", "x = 1\n"),
        ("x = <<~A # yes\n  # no #{y # in\n  }\nA\n", "x = <<~A\n  # no #{y\n  }\nA\n"),
        ("y = %q(# no); z = /#no/ # yes\nw = ?#\n", "y = %q(# no); z = /#no/\nw = ?#\n"),
        ("a\n  .b # one\n  # two\n  .c\n", "a\n  .b\n  .c\n"),
        ("puts DATA.read\n__END__\nSome text here.\n", "puts DATA.read\n"),
    ),
    "rust": (
        ("//! Crate.\n\n/// Doc\n/// more\nfn f() {}\n", "fn f() {}\n"),
        ('/* a /* nested */ b */ fn f() { let s = r#"// no " /* "#; }\n', 'fn f() { let s = r#"// no " /* "#; }\n'),
        ('#[doc = "text"]\n#[derive(Debug)]\nstruct A; // \'\n', "#[derive(Debug)]\nstruct A;\n"),
        (
            "#[doc(hidden)]\nfn f<'a>(c: &'a str) { let q = '\"'; /* ' */ }\n",
            "#[doc(hidden)]\nfn f<'a>(c: &'a str) { let q = '\"'; }\n",
        ),
    ),
    "typescript": (
        ('/// <reference path="a" />\nlet a: Array</* T */string> = [];\n', "let a: Array<string> = [];\n"),
        ("const f = <T,>(x: T /* in */): T => x; // yes\n", "const f = <T,>(x: T): T => x;\n"),
        ('const e = <a id="b">{/* in */} // text</a>;\n', 'const e = <a id="b">{} // text</a>;\n'),
    ),
}
