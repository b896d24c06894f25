"""The options that say which text a command reads: the same words, with the same meaning, in every command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from codingspot.cli.console import setting_error

if TYPE_CHECKING:  # loading the stages takes seconds, which `--help` should not
    from codingspot.study.corpus_section import CorpusSection

Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        help="A corpus made by `codingspot corpus`, any of its sources, or 'testbed', the default of the testbed's own "
        "models; repeat.",
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option("--language", "-l", help="A programming language that is used; repeat. All of a saved corpus."),
]
General = Annotated[
    list[str] | None,
    typer.Option(help="A domain that is general text, besides those of which the source says so; repeat."),
]
HeldOut = Annotated[
    list[str] | None,
    typer.Option(help="A domain left out of scoring; repeat. By default those that the corpus itself holds out."),
]
Documents = Annotated[int, typer.Option(help="Texts a domain, at most; 0: as many as the tokens need.", min=0)]
TokenBudget = Annotated[int, typer.Option(help="Tokens a domain.")]
SequenceLength = Annotated[int, typer.Option(help="Tokens a sequence.")]
OrderSeed = Annotated[int, typer.Option(help="Seed of the documents' order.")]
Parallel = Annotated[
    str | None,
    typer.Option(
        help="A .jsonl, .jsonl.gz or .parquet file with one column a language, or 'testbed', the default of the "
        "testbed's own models."
    ),
]


def corpus_section(
    model: str,
    sources: list[str] | None,
    languages: list[str] | None,
    general: list[str] | None,
    held_out: list[str] | None,
    **settings: Any,
) -> CorpusSection:
    """The corpus that a command's options ask for, as a study's section.

    Raises:
        CorpusError: no source is named, and ``model`` is none of the testbed's.
        StudyError: one of the options has a wrong value.
    """
    from codingspot.study.corpora import require_source
    from codingspot.study.corpus_section import CorpusSection
    from codingspot.testbed.defaults import default_source

    with setting_error():
        section = CorpusSection(
            source=(sources[0] if len(sources) == 1 else tuple(sources)) if sources else default_source(model),
            languages=tuple(languages) if languages else None,
            general=tuple(general) if general else None,
            held_out=None if held_out is None else tuple(held_out),
            **settings,
        )
    require_source(section, model)
    return section


def parallel_source(model: str, given: str | None) -> str:
    """The parallel code that ``--parallel`` names, or the testbed's of a testbed model.

    Raises:
        CorpusError: none is named, and ``model`` is none of the testbed's.
    """
    from codingspot.study.parallel import require_parallel
    from codingspot.testbed.defaults import default_source

    return require_parallel(given or default_source(model), model)
