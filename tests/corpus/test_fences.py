import pytest

from codingspot.corpus.fences import fenced_blocks, first_block_closed, first_block_with_tag, through_first_block

ANSWER = """Here is the code:

```rust
fn main() {}
```

1. Then run it:

   ~~~ sh {.numberLines}
   cargo run
     # indented
   ~~~

````text
```
not a fence
````

```
open to the end
"""


def test_every_block_with_its_tag() -> None:
    assert list(fenced_blocks(ANSWER)) == [
        ("rust", "fn main() {}\n"),
        ("sh", "cargo run\n  # indented\n"),
        ("text", "```\nnot a fence\n"),
        ("", "open to the end\n"),
    ]


def test_a_longer_or_other_fence_does_not_close() -> None:
    assert list(fenced_blocks("```c\n~~~\n``\n````\nrest")) == [("c", "~~~\n``\n")]
    assert list(fenced_blocks("`` x ``\n``` inline ``` code\n")) == []


def test_the_first_block_is_closed_by_a_fence_and_not_by_the_end() -> None:
    assert first_block_closed("a\n```c\nx\n```")
    assert first_block_closed("```c\n```\n```")
    assert not first_block_closed("```c\nx\n``")
    assert not first_block_closed("no ``` block")


def test_the_tag_is_the_first_word_of_the_info_string() -> None:
    assert [block.tag for block in fenced_blocks("```rust,ignore\n```\n```c++ title=x\n```\n``` {r}\n```\n")] == [
        "rust",
        "c++",
        "",
    ]


def test_the_first_block_as_released_scripts_cut_it() -> None:
    assert first_block_with_tag(ANSWER) == "rust\nfn main() {}\n"
    assert first_block_with_tag("no block") is None


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_line_feeds_cut(character: str) -> None:
    assert list(fenced_blocks(f"```py\nx = '{character}'\n```{character}\n{character}\n```\n")) == [
        ("py", f"x = '{character}'\n```{character}\n{character}\n")
    ]


def test_lines_may_end_in_carriage_return_and_line_feed() -> None:
    assert list(fenced_blocks("```c\r\nchar x = '\r';\r\n\r\n```\r\n~~~\r\nopen\r\n")) == [
        ("c", "char x = '\r';\n\n"),
        ("", "open\n"),
    ]


def test_a_text_is_cut_behind_its_first_block() -> None:
    assert through_first_block("a\n```c\nx\n```\nThis is\n```\ny\n```") == "a\n```c\nx\n```"
    assert through_first_block("```c\nx") == "```c\nx"
    assert through_first_block("no block\n") == "no block\n"
    assert through_first_block("```c\r\nx\r\n```\r\nmore") == "```c\r\nx\r\n```\r"
    assert through_first_block("a\n```c\nx\n```") == "a\n```c\nx\n```"
