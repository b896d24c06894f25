"""What a study asks for set against its inputs, before the model is first run: whatever can't be done is refused here.

Left for later is only what the scores, or the model's output, decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from codingspot.ablation import CONTROLS, is_random
from codingspot.analysis_registry import ANALYSES, Given, analyses, is_made
from codingspot.errors import ModelError, SelectionError, StudyError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import require_answerable, sandbox_for
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.spot import RECIPES, check_recipe
from codingspot.spot.recipes import recipe_parameters
from codingspot.spot.requirements import Domains, require
from codingspot.spot.selection import count_for
from codingspot.study.config import Study
from codingspot.study.inputs import StudyInputs
from codingspot.views.making import check_view


def check_study(study: Study, inputs: StudyInputs, *, unsafe_no_sandbox: bool = False) -> None:
    """Check that the study can be run on its inputs; nothing is computed.

    Raises:
        CodingSpotError: a spot is larger than its scope, a recipe doesn't fit the model, a recipe or control needs
            other domains, a task can't be evaluated, programs can't be run, an analysis doesn't fit the study, or a
            view's inputs can't be read. The message names it.
    """
    check_room(study, inputs.scopes)
    _check_domains(study, inputs)
    _check_fit(study, inputs)
    _check_tasks(study, inputs, unsafe_no_sandbox)
    given_analyses = Given(study, inputs.loaded, inputs.scoring, inputs.evaluation)
    for name in filter(partial(is_made, study=study), analyses()):
        ANALYSES.traits(name).fits(given_analyses)
    given = inputs.for_views(unsafe_no_sandbox=unsafe_no_sandbox)
    for name, settings in study.views.asked().items():
        check_view(name, settings, given)


def check_room(study: Study, scopes: Mapping[str, int]) -> None:
    """Check that every spot fits in its scope, ``scopes`` being parameters by scope, and leaves room for its controls.

    Raises:
        StudyError: one doesn't; the message names it.
    """
    sizes: dict[str, int] = {}
    for section in study.spots:
        taken = sum(sizes[name] for name in section.without)
        sizes[section.name] = count_for(section.k_percent[-1], scopes["all"])
        _require_room(f"spot {section.name}", section.scope, section.selected[-1], scopes, taken)
        if any(map(is_random, section.controls)) and 2 * sizes[section.name] > scopes["all"]:
            raise StudyError(
                f"spot {section.name}: its largest k, {section.k_percent[-1]:g}%, leaves fewer parameters than a "
                "random control takes; lower k_percent"
            )
    matrix = study.language_matrix
    if matrix is not None:
        _require_room("language_matrix", matrix.scope, matrix.k_percent, scopes, 0)


def _require_room(what: str, scope: str, percent: float, scopes: Mapping[str, int], taken: int) -> None:
    wanted = count_for(percent, scopes["all"])
    if wanted + taken > scopes[scope]:
        beside = f" beside the {taken:,} of the spots left out" if taken else ""
        raise StudyError(
            f"{what}: k = {percent:g}% asks for {wanted:,} parameters{beside}, and scope {scope!r} has "
            f"{scopes[scope]:,}; lower k_percent or widen the scope"
        )


def _check_fit(study: Study, inputs: StudyInputs) -> None:
    for section in study.selections:
        fits = section.traits.fits
        if fits is not None:
            try:
                fits(inputs.loaded.model, section.scope, section.k_percent)
            except (ModelError, SelectionError) as error:
                raise type(error)(f"spot {section.name}: {error}") from None


def _check_domains(study: Study, inputs: StudyInputs) -> None:
    scored = inputs.scoring.scored
    code, general = (tuple(each.name for each in scored if each.kind == kind) for kind in ("code", "general"))
    for section in study.spots:
        where = f"spot {section.name}"
        recipe, parameters, _ = section.selected
        _check_recipe(where, recipe, parameters, Domains(code, general))
        for control in section.controls:
            require(CONTROLS.traits(control).needs, f"{where}: {control}", Domains(code, general))
    matrix = study.language_matrix
    if matrix is not None:
        for name in matrix.languages or code:
            recipe, parameters, _ = matrix.spot(name).selected
            _check_recipe("language_matrix", recipe, parameters, Domains(code, general))


def _check_recipe(where: str, recipe: str, parameters: Mapping[str, object], domains: Domains) -> None:
    settings = check_recipe(recipe, parameters)
    languages = settings.get("languages")
    for name in languages or ():
        if name not in domains.code + domains.general:
            raise StudyError(f"{where}: {name!r} is not scored; languages may be {', '.join(domains.code)}")
    if not (languages or domains.code):
        raise StudyError(
            f"{where}: no language, or else no domain of corpus.target, is scored; leave one out of corpus.held_out, "
            "or add one"
        )
    own = recipe_parameters(settings)
    chosen = Domains(tuple(languages or domains.code), domains.general)
    require(RECIPES.traits(recipe, own).needs, f"{where}: {recipe}", chosen, **own)


def _check_tasks(study: Study, inputs: StudyInputs, unsafe_no_sandbox: bool) -> None:
    """The tasks of the cells and those of the language matrix."""
    further = [] if study.language_matrix is None else [(study.language_matrix.tasks, study.language_matrix.limit)]
    specs = [TaskSpec(name, limit=limit) for names, limit in further for name in names]
    tasks = [*inputs.tasks, *load_tasks(specs, tokenizer=inputs.loaded.tokenizer)]
    adapter = ModelAdapter(inputs.loaded.model, inputs.loaded.tokenizer, share_prefixes=False)
    with sandbox_for(tasks, workers=1, unsafe=unsafe_no_sandbox) as sandbox:
        require_answerable(adapter, tasks, sandbox)
