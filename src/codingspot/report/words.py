"""The result in plain English: one sentence a finding, and the two sentences a report leads with."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import Final

from codingspot.ablation import CONTROLS, EDITS
from codingspot.evaluation.standing import DRAWS_NEEDED
from codingspot.evaluation.statistics import Interval
from codingspot.importance import ESTIMATORS
from codingspot.models import SCOPES
from codingspot.report.labels import (
    MINUS,
    domain_label,
    dose,
    general_names,
    join_words,
    plural,
    ratio,
    recipe_label,
    task_label,
)
from codingspot.report.specificity import (
    KEPT,
    PERPLEXITY_LIMIT,
    Finding,
    Verdict,
    by_losses_alone,
    general_perplexity_ratio,
)
from codingspot.report.summary import CellSummary, RunSummary
from codingspot.study.cells import Asked, Plan, TaskRole

_MOSTLY_VOCABULARY: Final = 0.5
"""Share of a spot in embedding and output head from which a sentence mentions it."""


_LISTED: Final = 6
"""Missing cells that are named."""
_BY_LOSSES = {
    Verdict.BY_LOSSES: " The damage is specific to code, as far as losses tell.",
    Verdict.NO_MORE_THAN_CONTROLS: " As many random {like} do as much: the place is not special.",
    Verdict.NOT_SPECIFIC: " General text loses as much as code, or too much: the spot is not specific to code.",
    Verdict.GENERAL: " Code is unharmed and general text isn't: what lies there is general, not coding.",
    Verdict.NO_EFFECT: " Code is unharmed.",
}
"""What is concluded where no task was asked."""


def headline(summary: RunSummary, findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Two sentences: on the study's first spot, and on the one that bears on the claim.

    Before them stands what has to be known to read them. The second is on the first other spot in scope ``blocks`` that
    has matched controls, or else on the first there, or else on the second spot, or else on the controls of the first.
    """
    return (*_sought(summary.plan), *_unfinished(summary), *_said(summary, findings))


def _sought(plan: Plan) -> Iterator[str]:
    """What the word code stands for, where the study seeks another ability."""
    if plan.target:
        named = join_words([domain_label(name) for name in plan.target])
        yield f"Code stands for {named} here, the ability that is sought; all else is general text."


def _unfinished(summary: RunSummary) -> Iterator[str]:
    """What a run that isn't finished lacks; nothing of one that is."""
    pending = sum(cell.asked is Asked.PENDING for cell in summary.cells)
    names = [cell.name for cell in summary.missing]
    total = plural(len(summary.cells) + len(names), "cell")
    if names:
        listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        yield f"This run isn't finished: {len(names)} of {total} are missing ({listed})."
    if pending:
        yield f"Perplexity alone is known of {pending} of {total} so far: their tasks haven't been asked yet."


def _said(summary: RunSummary, findings: tuple[Finding, ...]) -> tuple[str, ...]:
    if not findings:
        return ("This run edited no spot: it holds the original model alone.",)
    first, others = findings[0], findings[1:]
    if first.verdict is Verdict.UNDEFINED or by_losses_alone(summary, first.spot):
        return (sentence(summary, first),)
    inside = [each for each in others if SCOPES.traits_if_known(each.cell.cell.scope or "").of_the_verdict]
    controlled = [finding for finding in inside if finding.matched]
    second = next(iter([*controlled, *inside, *others]), None)
    return (
        sentence(summary, first),
        controls_sentence(summary, first) if second is None else sentence(summary, second, brief=True),
    )


def sentence(summary: RunSummary, finding: Finding, *, brief: bool = False) -> str:
    """One sentence on one spot: what was done, what it took, and what may be concluded.

    A ``brief`` one follows another: it doesn't say again which tasks pass@1 is of and what k is a percentage of.
    """
    cell, plan = finding.cell, summary.plan
    code = "pass@1" if brief else code_name(plan)
    before, after = _rate(summary.original.metrics.code), _rate(cell.metrics.code)
    start = f"{_condition(cell, summary)}, {EDITS.label(cell.cell.edit or '') or 'editing'}"
    top = f"the top {dose(cell.cell.k_percent)}{'' if brief else ' of all weights'}"
    takes = f"{start} {top} takes {code} from {before} to {after}"
    general = _keeps(cell.metrics.general_retention, cell.intervals.general_retention)
    if by_losses_alone(summary, finding.spot) or cell.asked.asks_nothing:
        concluded = _BY_LOSSES.get(finding.verdict, "").format(like=_like(summary, finding))
        concluded = concluded or _unjudged(summary, finding)
        return _perplexity_sentence(summary, finding) + concluded + _among_draws(finding)
    match finding.verdict:
        case Verdict.UNDEFINED:
            roles: tuple[TaskRole, ...] = ("code", "general")
            absent = [role for role in roles if not plan.with_role(role)]
            if absent:
                return (
                    f"Nothing can be said of a spot: the study names no {' and no '.join(absent)} task to judge it by."
                )
            return (
                f"Nothing can be said of a spot: the original model is too near chance to have an ability to lose "
                f"({code} {before}, mean of the general tasks {_rate(summary.original.metrics.average)})."
            )
        case Verdict.NO_EFFECT:
            stays = f"stays at {after}" if before == after else f"is {after} ({before} before)"
            return f"{start} up to {top} harms nothing measurably: {code} {stays}, and general ability keeps {general}."
        case Verdict.GENERAL if (cell.metrics.code_retention or 0.0) >= KEPT:
            return (
                f"{start} {top} leaves {code} at {after} ({before} before), but general ability keeps "
                f"{_only(cell)}{general}: what lies there is general, not coding."
            )
        case Verdict.GENERAL:
            return (
                f"{takes}, but general ability loses more and keeps {general}: what lies there is general, not coding."
            )
        case Verdict.NOT_SPECIFIC:
            return f"{takes}, {_not_specific(finding, plan, general)}{_while_kept(summary, finding)}."
        case Verdict.NO_MORE_THAN_CONTROLS:
            left = f" (pass@1 {_spread(finding.matched)})" if finding.matched else ""
            return (
                f"{takes} while general ability keeps {general}, but as many random {_like(summary, finding)} "
                f"do as much within the uncertainty{left}: the place is not special.{_among_draws(finding)}"
            )
        case Verdict.UNCONTROLLED:
            return (
                f"{takes} while general ability keeps {general}: specific to code, "
                f"as far as can be said without matched controls{_vocabulary(finding)}."
                f"{_one_of_several(summary, finding)}"
            )
        case _:
            left = f"leave pass@1 at {_spread(finding.matched)}" if finding.matched else "don't"
            return (
                f"{takes} while general ability keeps {general}, and as many random {_like(summary, finding)} "
                f"{left}: the damage is specific to code{_vocabulary(finding)}."
                f"{_among_draws(finding)}{_one_of_several(summary, finding)}"
            )


def _unjudged(summary: RunSummary, finding: Finding) -> str:
    """What a verdict by losses lacks; nothing where that is draws enough, or held-out text of any kind."""
    cell = finding.cell
    if not cell.perplexity_ratio or not by_losses_alone(summary, finding.spot):
        return ""
    kinds = {domain.kind for domain in summary.plan.domains if domain.name in cell.perplexity_ratio}
    absent = [what for kind, what in (("code", "code"), ("general", "general text")) if kind not in kinds]
    if absent:
        return f" Nothing can be said of the spot: there is no held-out {absent[0]} to judge it by."
    return "" if finding.standing else " Without matched controls nothing says whether other weights would do as much."


def _like(summary: RunSummary, finding: Finding) -> str:
    """What a matched control of the spot has as many of."""
    unit = summary.recipe(finding.cell.cell).unit
    return "weights of the same tensors" if unit == "weight" else f"{unit}s of the same layers"


def _perplexity_sentence(summary: RunSummary, finding: Finding) -> str:
    """Where no task was asked: how far the dose judged moves perplexity."""
    cell = finding.cell
    why = "no task was asked at its doses" if summary.plan.tasks else "the study names no task"
    if cell.asked is Asked.PENDING:
        why = "its tasks haven't been asked yet"
    start = f"Of spot {finding.spot} perplexity alone is known ({why})"
    moved = sorted(cell.perplexity_ratio.items(), key=lambda each: -each[1])
    if not moved:
        return f"{start}, and there is no held-out text to take it of."
    (most, high), (least, low) = moved[0], moved[-1]
    named = [f"{ratio(high)} times the original's on {domain_label(most)}"]
    named += [f"{ratio(low)} times on {domain_label(least)}"] if len(moved) > 1 else []
    return f"{start}: at {dose(cell.cell.k_percent)} it is {' and '.join(named)}."


def controls_sentence(summary: RunSummary, finding: Finding) -> str:
    """One sentence on what as many random weights do at a finding's key dose."""
    k = finding.cell.cell.k_percent
    how = {control: CONTROLS.traits_if_known(control).drawn for control in summary.controls(finding.spot)}
    parts, draws = [], 0
    for control in [control for control, drawn in how.items() if drawn]:
        cells = summary.at(finding.spot, control, k)
        if cells:
            parts.append(f"at {_rate(_mean_code(cells))} where {how[control]}")
            draws = max(draws, len(cells))
    if not parts:
        return "No random control was run, so nothing here says that other weights would not do the same."
    return (
        f"As many random weights leave {code_name(summary.plan)} {' and '.join(parts)} "
        f"(at k = {dose(k)}; {'mean of ' if draws > 1 else ''}{plural(draws, 'draw')})."
    )


def code_name(plan: Plan) -> str:
    """What the code rate is: ``pass@1 on Python problems``."""
    tasks = plan.with_role("code")
    if len(tasks) == 1:
        return f"pass@1 on {task_label(tasks[0].name)}"
    return f"mean pass@1 on {plural(len(tasks), 'code task')}"


def _condition(cell: CellSummary, summary: RunSummary) -> str:
    """By which recipe, and where; what the paper did is called so only where estimator and aggregation are its own."""
    spot, recipe = cell.cell, summary.recipe(cell.cell)
    parameters = summary.parameters.get(spot.spot or "", {})
    label = recipe_label(spot.recipe, parameters, summary.plan)
    by = (recipe.by or "By recipe {label}").format(
        label=label, general=general_names(summary.plan) or "general text", estimator=spot.estimator
    )
    if recipe.of_the_paper and ESTIMATORS.traits_if_known(spot.estimator or "").of_the_paper:
        by = "By the paper's recipe"
    left_out = f", the weights of {' and '.join(spot.without)} left out," if spot.without else ""
    inside = SCOPES.traits_if_known(spot.scope or "").inside
    return by + left_out + (f" in scope {spot.scope}" if inside is None else inside)


def _not_specific(finding: Finding, plan: Plan, general: str) -> str:
    factor = general_perplexity_ratio(finding.cell, plan)
    if (finding.cell.metrics.general_retention or 0.0) < KEPT:
        return f"but general ability keeps {_only(finding.cell)}{general}: the spot is not specific to code"
    if factor > PERPLEXITY_LIMIT:
        return (
            f"and general ability keeps {general}, but the perplexity of general text rises {ratio(factor)}-fold: "
            "the spot is not specific to code"
        )
    return f"and general ability keeps {general}: too alike to call the spot specific to code"


def _while_kept(summary: RunSummary, finding: Finding) -> str:
    """What code keeps at the best dose that keeps general ability, where that isn't the key dose itself."""
    if finding.kept is finding.cell:
        return ""
    if finding.kept is None:
        some = any(cell.asked.asks_nothing for cell in summary.of(finding.spot))
        return f"; no dose {'at which tasks were asked' if some else 'tried'} keeps {KEPT:.0%} of general ability"
    left = _amount(finding.kept.metrics.code_retention)
    return f"; at {dose(finding.kept.cell.k_percent)}, where general ability is kept, code keeps {left}"


def _vocabulary(finding: Finding) -> str:
    share = finding.shares.get("vocabulary", 0.0)
    if share < _MOSTLY_VOCABULARY:
        return ""
    return (
        f", though {share:.0%} of these weights lie in the embedding and output head, "
        "so that it may be a vocabulary more than an ability"
    )


def _one_of_several(summary: RunSummary, finding: Finding) -> str:
    """What a specific spot says of another that it leaves out, or doesn't say where its recipe is trained."""
    spot = finding.cell.cell
    if spot.without:
        return f" So {' and '.join(spot.without)} {'is' if len(spot.without) == 1 else 'are'} not the only place."
    if summary.recipe(spot).training is not None:
        return " That a trained mask removes code doesn't show that code lies there: others may do as well."
    return ""


def _among_draws(finding: Finding) -> str:
    """How the spot stands among the draws of its matched controls, or that they are too few to say."""
    standing = finding.standing
    if standing is None:
        return ""
    drawn = plural(len(standing.draws), "matched draw")
    if not standing.can_reach_level:
        few = f" But {drawn} can't show that at 5%, which takes {DRAWS_NEEDED}."
        return few if finding.verdict in (Verdict.SPECIFIC, Verdict.UNDEFINED) else ""
    where = "outside" if standing.outside else "within"
    return (
        f" By the losses of held-out text the spot stands {where} the spread of {drawn} (p = {standing.p_value:.2g})."
    )


def _keeps(retention: float | None, interval: Interval | None) -> str:
    """How much of an ability is kept, with its 95% interval where that isn't one value."""
    text = f"{_amount(retention)} of what it has above chance"
    if interval is None or interval.high - interval.low < 0.01:
        return text
    return f"{text} ({100 * interval.low:.0f} to {interval.high:.0%})".replace("(-", f"({MINUS}").replace(
        "to -", f"to {MINUS}"
    )


def _only(cell: CellSummary) -> str:
    return "only " if 0.005 <= (cell.metrics.general_retention or 0.0) < KEPT else ""


def _amount(retention: float | None) -> str:
    if retention is None or retention < 0.005:
        return "nothing"
    return "all" if retention >= 0.995 else f"{retention:.0%}"


def _rate(rate: float | None) -> str:
    return "an unknown rate" if rate is None else f"{rate:.2f}"


def _mean_code(cells: tuple[CellSummary, ...]) -> float | None:
    rates = [cell.metrics.code for cell in cells if cell.metrics.code is not None]
    return fmean(rates) if rates else None


def _spread(cells: tuple[CellSummary, ...]) -> str:
    """The code rate of some draws: one number, or the smallest and the largest."""
    texts = sorted({_rate(cell.metrics.code) for cell in cells})
    return texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"
