"""A command for each view that can be taken of a model alone, whoever registered it."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from codingspot.cli.console import AsJson, StudyProgress, friendly_errors, out, print_json, setting_error
from codingspot.cli.options import MODEL, PLACE, command, given_settings, option, settings_options
from codingspot.cli.texts import General, Languages, Sources, corpus_section, parallel_source
from codingspot.models.section import ModelSection
from codingspot.settings import Settings, paths_read
from codingspot.views.view import VIEWS, ParallelSettings, ViewTraits, views

_OUT = Annotated[
    Path | None, typer.Option("--out", "-o", **PLACE, help="Run directory; resumed where it holds the same analysis.")
]
_PURIFY = Annotated[bool, typer.Option("--purify/--no-purify", help="Whether comments go from code.")]
_DOCUMENTS = Annotated[int, typer.Option(help="Texts a domain, at most; 0: all.", min=0)]
_KEPT = Annotated[int, typer.Option(help="Texts a domain kept for perplexity.", min=1)]
_BATCH = Annotated[int | None, typer.Option(help="Most tokens of a forward pass.", min=1)]
_COMPARE = Annotated[
    list[Path] | None, typer.Option("--compare", **PLACE, help="Run directory of another model's (its --out); repeat.")
]
_UNSAFE = Annotated[bool, typer.Option("--unsafe-no-sandbox", help="Run generated programs without a sandbox.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for name in views():
        traits, settings = VIEWS.traits(name), VIEWS[name]
        if traits.has_command:
            about = inspect.getdoc(settings) or ""
            app.command(name)(command(partial(_run, name), _parameters(settings, traits), name, about))


def _parameters(settings: type[Settings], traits: ViewTraits) -> list[inspect.Parameter]:
    """The model, texts where they are read, the view's own settings, and how it is run."""
    texts = [
        option("corpus", Sources, None),
        option("language", Languages, None),
        option("general", General, None),
        option("purify", _PURIFY, True),
        option("documents", _DOCUMENTS, 400),
        option("evaluation_documents", _KEPT, 6),
    ]
    return [
        option("model", MODEL, "testbed"),
        option("directory", _OUT, None),
        *(texts if traits.reads_texts else ()),
        *settings_options(settings),
        option("batch_tokens", _BATCH, None),
        *([option("compare", _COMPARE, None)] if traits.compares else ()),
        *settings_options(ModelSection, but=("id",)),
        *([option("unsafe_no_sandbox", _UNSAFE, False)] if traits.runs_programs else ()),
        option("as_json", AsJson, False),
    ]


def _run(name: str, model: str, directory: Path | None, **options: Any) -> None:
    """Make the view of ``model``, or read it from ``directory``, and print it."""
    traits, kind = VIEWS.traits(name), VIEWS[name]
    with friendly_errors("the same command resumes where it stopped"), setting_error(kind):
        from codingspot.directories import held
        from codingspot.files import write_text
        from codingspot.models import input_places
        from codingspot.study.corpora import study_corpora
        from codingspot.study.parallel import open_view_corpus
        from codingspot.views import ViewInputs
        from codingspot.views.making import make_view, saved_view

        view = traits.load()  # whatever it needs is missed before the work
        given = given_settings(kind, options)
        if issubclass(kind, ParallelSettings):
            given["parallel"] = parallel_source(model, given.get("parallel"))
        settings = kind.model_validate(given)
        with setting_error(ModelSection):
            named = ModelSection.model_validate({**given_settings(ModelSection, options), "id": model})
        section = _section(model, options) if traits.reads_texts else None
        compared = options.get("compare") or ()
        others = [saved_view(path, name) for path in compared]  # before the work, which takes minutes
        place = directory or Path("runs") / name
        read = input_places(model, *(options.get("corpus") or ()), *compared, *paths_read(settings))
        with held(place, inputs=read), StudyProgress() as progress:
            progress.stage("loading the model")
            loaded = named.load()
            scored, kept = (None, None) if section is None else study_corpora(section)
            inputs = ViewInputs(
                loaded,
                open_view_corpus,
                scored,
                kept,
                batch_tokens=options["batch_tokens"],
                unsafe_no_sandbox=options.get("unsafe_no_sandbox", False),
            )
            found = make_view(name, settings, inputs, place, progress.shares())
            files = {} if found is None else view.files(found)
            for file, text in files.items():
                write_text(place / file, text)
        if found is None:
            out.print("nothing to show")
        elif options["as_json"]:
            print_json(view.told(found, others))
        else:
            view.show(found, others, out)
            for file in files:
                out.print(f"Page: {place / file}", soft_wrap=True)
            out.print(f"Tables: {place / 'analysis'}", soft_wrap=True)


def _section(model: str, options: dict[str, Any]) -> Any:
    """The corpus, every domain of which is counted."""
    return corpus_section(
        model,
        options["corpus"],
        options["language"],
        options["general"],
        [],
        purified=options["purify"],
        documents=options["documents"],
        evaluation_documents=options["evaluation_documents"],
        seed=options.get("seed") or 0,
    )
