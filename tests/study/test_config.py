from pathlib import Path

import pytest

from codingspot.ablation import CONTROLS
from codingspot.errors import CorpusError, StudyError
from codingspot.settings import LONGEST_NAME
from codingspot.studies import DEMO
from codingspot.study import load_study, parse_study, run_study
from codingspot.study.planning import plan_cells


def test_demo_study_leads_with_units_and_has_the_papers_grid_with_controls():
    study = load_study(DEMO)
    units, paper, *others = study.spots
    assert units.traits.unit == "neuron"
    assert units.judged is not None
    assert units.judged.draws >= 19  # a test at 5%
    assert paper.k_percent == (0.0025, 0.01, 0.09, 0.25, 1)
    assert paper.controls == ("uniform", "matched")
    assert [spot.scope for spot in (paper, *others)] == ["all", "all", "blocks", "blocks"]


def test_round_trip_through_yaml():
    study = load_study(DEMO)
    assert parse_study(study.to_yaml(), "copy") == study


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("spots: [", r"not valid YAML: line 1, column 9: .*; correct it there"),
        ("[]", "must be a mapping"),
        ("name: a\nspots: []", "at least one spot"),
        ("name: a\nspots: [{name: s, k_percent: [0]}]", "percent"),
        ("name: a\nspots: [{name: s, k_percent: [101]}]", "percent"),
        ("name: a\nspots: [{name: s, k_percent: [1, 0.5]}]", "increase"),
        ("name: a\nspots: [{name: s, k_percent: [1]}, {name: s, k_percent: [1]}]", "same name"),
        ("name: a\nmodell: {}\nspots: [{name: s, k_percent: [1]}]", r"modell: there is no .* did you mean model\?"),
        ("name: a\nspots: [{name: s, k_percents: [1]}]", r"spots.0.k_percents: .* did you mean k_percent\?"),
        ("name: a\nspots: [{name: s}]", "spots.0.k_percent: is missing"),
        ("name: a\nspots: [{name: s, k_percent: [1], without: [r]}]", "without names 'r', which is no spot before it"),
        ("name: a\nspots: [{name: s, k_percent: [1], without: [s]}]", "without names 's', which is no spot before it"),
        ("name: a\nqqqqq: 1\nspots: [{name: s, k_percent: [1]}]", "qqqqq: there is no such setting; leave it out"),
        ("name: a\ncontrols: [uniform]\nspots: [{name: s, k_percent: [1]}]", "controls: .* here; it belongs to spots$"),
        ("name: a\nspots: [{name: s, k_percent: [1], reuse: x}]", r"spots.0.reuse: .* here; it belongs to scoring$"),
        ("name: a\nscoring: {snapshots: [1]}", "scoring.snapshots: .* here; it belongs to scoring.finetune$"),
        ("name: a\ncorpus: {analyses: []}", "corpus.analyses: .* here; it belongs to the study itself$"),
        ("name: a\nlens: {}", "lens: .* here; it belongs to views$"),
        ("name: a\nviews: {lens: {top_tokenz: 1}}", r"views.lens.top_tokenz: there is no such setting"),
        ("name: a\nestimater: taylor", r"estimater: .*; did you mean estimator, which belongs to scoring\?"),
        (
            "name: a\nevaluation: {code: [{name: b, fewshot: 1}]}",
            r"evaluation.code.0.fewshot: .* did you mean few_shot\?",
        ),
        (
            "name: a\nfew_shot: 1",
            "few_shot: .* here; it belongs to evaluation.code, evaluation.general or evaluation.other$",
        ),
        ("name: a\ncorpus: {source: [{path: x, documents: 4}]}", "corpus.source.0.documents: .* belongs to corpus$"),
        ("name: a\nscoring: {estimator: taylr}\nspots: [{name: s, k_percent: [1]}]", "unknown estimator 'taylr'"),
        ("name: ../a\nspots: [{name: s, k_percent: [1]}]", "name"),
    ],
)
def test_bad_study_is_one_line_that_names_the_setting(text, named):
    with pytest.raises(StudyError, match=named) as caught:
        parse_study(text, "s.yaml")
    assert "\n" not in str(caught.value)


def test_missing_study_file(tmp_path: Path):
    with pytest.raises(StudyError, match="--show-study"):
        load_study(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("spot", "named"),
    [
        ("k_percent: [1], edit: scale", "needs parameter 'alpha'"),
        ("k_percent: [1], edit: scale, edit_parameters: {beta: 1}", "no parameter 'beta'"),
        ("k_percent: [1], edit: keep_only", "ask for sufficiency"),
        ("k_percent: [1], edit: erase", "unknown edit 'erase'"),
        ("k_percent: [1], recipe: summ", "spot s: unknown recipe 'summ'; use one of sum, "),
        ("k_percent: [1], parameters: {agregation: median}", "recipe 'sum' has no parameter 'agregation'"),
        (
            "k_percent: [1], recipe: learned, parameters: {step: 9}",
            "recipe 'learned' has no parameter 'step'; it has sh",
        ),
        ("k_percent: [1], recipe: learned, parameters: {steps: nine}", "'learned': steps is 'nine'"),
        (
            "k_percent: [1], recipe: learned, parameters: {steps: 0}",
            r"steps is 0 \(Input should be greater than 0\)",
        ),
        ("k_percent: [1], recipe: learned, parameters: {shortlist: summ}", "unknown recipe 'summ'"),
        ("k_percent: [6], recipe: learned", "shortlist_percent is 5; a mask of 6% is chosen from more than that"),
        ("k_percent: [1], scope: block", "unknown scope 'block'"),
        ("k_percent: [1], sufficiency: {k_percent: [2]}", "exceeds the spot's own largest k"),
        ("k_percent: [1], precision: 0", "greater than 0"),
    ],
)
def test_edits_and_further_cells_are_checked(spot: str, named: str):
    with pytest.raises(StudyError, match=named):
        parse_study(f"name: a\nspots: [{{name: s, {spot}}}]", "s.yaml")


def test_an_edit_has_its_own_parameters():
    study = parse_study(
        "name: a\nspots: [{name: s, k_percent: [1], edit: scale, edit_parameters: {alpha: 0.5}}]", "s.yaml"
    )
    assert study.spots[0].edit_parameters == {"alpha": 0.5}


def test_a_trained_spot_begins_with_what_is_selected_from_scores():
    study = parse_study(
        "name: a\nspots: [{name: s, recipe: learned, k_percent: [0.4], parameters: {steps: 9}}]", "s.yaml"
    )
    section = study.spots[0]
    assert section.training is not None
    assert section.training.steps == 9
    assert section.selected == ("set_difference", {}, 5.0)
    computed = parse_study("name: a\nspots: [{name: s, k_percent: [0.4]}]", "s.yaml").spots[0]
    assert computed.training is None
    assert computed.selected == ("sum", {}, 0.4)


SPOT = "spots: [{name: s, k_percent: [1]}]"
VIEWS = "views: {align: {}, lens: {}}\nlanguage_matrix: {}"


@pytest.mark.parametrize("model", ["testbed", "testbed-routed"])
def test_a_testbed_model_has_its_own_text_and_tasks_where_none_are_named(model: str):
    study = parse_study(f"name: a\nmodel: {{id: {model}}}\nevaluation: {{limit: 3}}\n{SPOT}\n{VIEWS}", "s.yaml")
    assert study.corpus.source == "testbed"
    assert [spec.name for role, spec in study.evaluation.tasks() if role != "general"] == [
        "testbed_humaneval",
        "testbed_comprehension",
    ]
    assert study.views.align is not None
    assert study.views.align.parallel == "testbed"
    assert study.language_matrix is not None
    assert len(study.language_matrix.tasks) == 3
    given = parse_study(f"name: a\nevaluation: {{other: []}}\ncorpus: {{source: mine}}\n{SPOT}", "s.yaml")
    assert given.corpus.source == "mine"
    assert [role for role, _ in given.evaluation.tasks()] == ["code", *["general"] * 5]
    assert given.views.align is given.language_matrix is None


@pytest.mark.parametrize("study", [f"{SPOT}\n{VIEWS}", f"evaluation: {{code: [humaneval]}}\n{SPOT}\n{VIEWS}"])
def test_a_study_of_another_model_never_touches_the_testbed(study: str):
    parsed = parse_study(f"name: a\nmodel: {{id: org/name}}\n{study}", "s.yaml")
    assert "testbed" not in parsed.to_yaml()
    assert parsed.corpus.source is None
    swapped = parse_study(f"name: a\n{study}", "s.yaml", model="org/name@v1")
    assert "testbed" not in swapped.to_yaml()
    assert (swapped.model.id, swapped.model.revision) == ("org/name", "v1")


@pytest.mark.parametrize(
    ("study", "named"),
    [
        (SPOT, "no corpus is named for "),
        (f"corpus: {{source: x}}\n{SPOT}\nviews: {{align: {{}}}}", "no parallel code is named for "),
        ("corpus: {source: x}\nviews: {lens: {}}", "no parallel code is named for "),
    ],
)
def test_what_a_study_reads_must_be_named_before_any_work(study: str, named: str, tmp_path: Path):
    with pytest.raises(CorpusError, match=named):
        run_study(parse_study(f"name: a\nmodel: {{id: org/name}}\n{study}", "s.yaml"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("controls: [matched], control_seeds: [0, 0]", r"spots\.0: control_seeds lists 0 twice; list it once"),
        ("controls: [matched], control_seeds: [-1]", r"spots\.0\.control_seeds\.0: .* greater than or equal to 0"),
        ("controls: [matched], control_seeds: [99999999999]", r"control_seeds\.0: .* less than 4294967296"),
        ("controls: [matched], control_seeds: []", r"control_seeds: .* at least 1 item"),
        ("controls: [matched, matched]", "controls lists 'matched' twice"),
        ("sufficiency: {k_percent: [1, 1]}", r"sufficiency: k_percent lists 1\.0 twice"),
        ("sufficiency: {k_percent: [1], base: [nonsense]}", r"base\.0: unknown scope 'nonsense'"),
        ("k_percent: [0.25, 0.25000001]", r"two cells of the study would be called 's-k0\.25'"),
        ("k_percent: [.nan]", "percent"),
        ("edit: scale, edit_parameters: {alpha: .nan}", r"'scale': alpha is nan \(Input should be a finite number\)"),
        ("edit: amplify, edit_parameters: {alpha: 0.5}", r"alpha is 0\.5 \(Input should be greater than 1\)"),
        ("edit: noise, edit_parameters: {seed: -1}", "seed is -1"),
        ("recipe: set_difference, parameters: {general_percent: 200}", r"general_percent is 200 \(.* less than 100\)"),
        ("recipe: set_difference, parameters: {trim: .inf}", "trim is inf"),
        ("recipe: log_ratio, parameters: {smoothing: 0}", "smoothing is 0"),
        ("parameters: {languages: 3}", "languages is 3"),
        ("parameters: {languages: []}", "languages is"),
        ("parameters: {languages: [go, go]}", "'go' is listed twice"),
        ("parameters: {per_tensor: perhaps}", "per_tensor is 'perhaps'"),
        ("parameters: {max_k_percent: 3}", "recipe 'sum' has no parameter 'max_k_percent'"),
        ("recipe: learned, parameters: {doses: [1, 0.5]}", r"doses is .*must increase strictly"),
        ("recipe: learned, parameters: {doses: [0.5]}", r"doses end at 0\.5%, below the spot's 1%"),
        ("recipe: learned, parameters: {general_weight: .nan}", "general_weight is nan"),
        ("recipe: learned, parameters: {seed: -1}", "seed is -1"),
    ],
)
def test_a_spot_s_lists_and_numbers_are_checked(settings: str, named: str):
    doses = "" if settings.startswith("k_percent") else "k_percent: [1], "
    with pytest.raises(StudyError, match=named) as caught:
        parse_study(f"name: a\nspots: [{{name: s, {doses}{settings}}}]", "s.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ("evaluation: {sandbox_seconds: .inf}", r"evaluation\.sandbox_seconds: Input should be a finite number"),
        ("evaluation: {temperature: .inf}", r"evaluation\.temperature"),
        ("evaluation: {general: [{name: gsm8k, temperature: .nan}]}", r"general\.0\.task\.temperature"),
        ("evaluation: {general: [{name: gsm8k, subsample_seed: -1}]}", r"general\.0\.task\.subsample_seed"),
        ("evaluation: {general: [{name: gsm8k, limit: 1, subsample: 1}]}", "s.yaml: task gsm8k: limit and subsample"),
        ("scoring: {seed: -1}", r"scoring\.seed"),
        ("scoring: {micro_batch_tokens: 100000000000000000000}", r"scoring\.micro_batch_tokens"),
        ("scoring: {estimator: obd, parameters: {probes: 0}}", "probes is 0"),
        ("scoring: {estimator: integrated_gradients, parameters: {steps: 0}}", "steps is 0"),
        ("scoring: {draws: 1, finetune: {steps: -1, learning_rate: 0.1}}", r"scoring\.finetune\.steps"),
        ("scoring: {draws: 1, finetune: {steps: 1, learning_rate: .nan}}", r"scoring\.finetune\.learning_rate"),
        ("scoring: {draws: 1, finetune: {steps: 1, learning_rate: 1, snapshots: [1, 1]}}", "1 is listed twice"),
        ("corpus: {languages: [go, go]}", r"corpus: languages lists 'go' twice"),
        ("corpus: {held_out: [go, go]}", r"corpus: held_out lists 'go' twice"),
        ("corpus: {seed: -1}", r"corpus\.seed"),
        ("language_matrix: {tasks: [a, a]}", "language_matrix: tasks lists 'a' twice"),
        ("language_matrix: {recipe: summ}", "language_matrix: unknown recipe 'summ'"),
        ("language_matrix: {scope: block}", r"language_matrix\.scope: unknown scope 'block'"),
        ("views: {neurons: {control_seeds: [1, 1]}}", r"views\.neurons: control_seeds lists 1 twice"),
        ("views: {neurons: {quantiles: [2]}}", r"views\.neurons\.quantiles\.0"),
        ("views: {lens: {languages: [go, go]}}", r"views\.lens: languages lists 'go' twice"),
        ("views: {align: {seed: -1}}", r"views\.align\.seed"),
    ],
)
def test_a_section_s_lists_and_numbers_are_checked(section: str, named: str):
    with pytest.raises(StudyError, match=named) as caught:
        parse_study(f"name: a\nspots: [{{name: s, k_percent: [1]}}]\n{section}", "s.yaml")
    assert "\n" not in str(caught.value)


def test_names_that_spots_and_controls_would_share_are_refused():
    spots = "{name: s, k_percent: [1], controls: [matched]}, {name: s-matched-s1, k_percent: [2]}"
    with pytest.raises(StudyError, match="two spots or controls of the study would be called 's-matched-s1'"):
        parse_study(f"name: a\nspots: [{spots}]", "s.yaml")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name: " + "[" * 3000 + "]" * 3000, "is nested more than 40 deep"),
        ("name: " + "[" * 60 + "]" * 60, "nested more than 40 deep"),
        (BOMB, "more than 100,000 values, aliases written out"),
        ("name: &a [*a]", "more than 100,000 values, aliases written out"),
        ("name: a\nname: b", "line 2, column 1: 'name' is given twice"),
        ("name: 2024-99-99", "a value that is not what it is marked as"),
        ("name: !!bool perhaps", "a value that is not what it is marked as"),
        ("name: " + "9" * 5000, "a value that is not what it is marked as"),
        ("name: !!python/object:os.system x", "not valid YAML"),
        ("name: a\x00", "not valid YAML"),
        ("# " + "x" * 1_000_001, "longer than the 1,000,000 characters"),
    ],
)
def test_text_that_nests_multiplies_or_misleads_is_one_line(text: str, named: str):
    with pytest.raises(StudyError, match=named) as caught:
        parse_study(text, "s.yaml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("content", [b"name: \xff\xfe", None], ids=["not UTF-8", "a folder"])
def test_a_file_that_is_no_text_is_one_line(tmp_path: Path, content: bytes | None):
    file = tmp_path / "s.yaml"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(StudyError, match="can't be read as a study file"):
        load_study(file)


def test_an_endless_file_is_not_read_to_its_end():
    with pytest.raises(StudyError, match=r"longer than|not valid YAML"):
        load_study(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ("evaluation: {code: ['']}", r"evaluation\.code\.0.*: it is empty"),
        ("evaluation: {code: [{name: ''}]}", r"it is empty"),
        ("corpus: {languages: [' ']}", r"corpus\.languages\.0: it is empty"),
        ("corpus: {held_out: ['']}", r"corpus\.held_out\.0: it is empty"),
        ("language_matrix: {tasks: ['']}", r"language_matrix\.tasks\.0: it is empty"),
        ("views: {neurons: {tasks: ['']}}", r"views\.neurons\.tasks\.0: it is empty"),
        ("views: {lens: {parallel: ''}}", r"views\.lens\.parallel: it is empty"),
        ("model: {id: ''}", r"model\.id: it is empty"),
        ("corpus: {source: []}", r"corpus\.source: it is empty; name a folder"),
        ("corpus: {source: ''}", r"corpus\.source: it is empty; name a folder"),
        ("corpus: {source: ['']}", r"corpus\.source: .*it is empty"),
        ("corpus: {source: [{path: ''}]}", r"source.* it is empty"),
        ("corpus: {source: [testbed, x.txt]}", r"corpus\.source: testbed can't be put together with other sources"),
        ('corpus: {source: "rows.jsonl\\0"}', "line 4, column .*: a NUL character"),
        ('model: {id: "a\\0"}', "line 4, column .*: a NUL character"),
        ("scoring: {draws: 1000}", r"scoring\.draws = 1000 parts is 8 tokens each, .* lower scoring\.draws"),
        ("scoring: {draws: 1, token_budget: 8}", r"token_budget 8 is less than one sequence of 256; raise"),
        (f"evaluation: {{code: [{'t' * 151}]}}", "longer than the 150 bytes that a name may have"),
        (f"corpus: {{general: [{'é' * 50}]}}", "longer than the 150 bytes that a name may have"),
    ],
)
def test_a_name_that_can_be_no_name_is_refused_where_it_stands(section: str, named: str):
    with pytest.raises(StudyError, match=named) as caught:
        parse_study(f"name: a\nspots: [{{name: s, k_percent: [1]}}]\n# a name\n{section}\n", "s.yaml")
    assert "\n" not in str(caught.value)


def test_a_source_alone_in_a_list_is_that_source():
    study = parse_study("name: a\nspots: [{name: s, k_percent: [1]}]\ncorpus: {source: [testbed]}", "s.yaml")
    assert study.corpus.source == "testbed"


def test_scores_that_are_made_in_one_piece_need_no_budget_for_several():
    text = "name: a\nspots: [{name: s, k_percent: [1]}]\nscoring: {estimator: magnitude, token_budget: 256}"
    assert parse_study(text, "s.yaml").scoring.draws == 4


def test_every_file_name_made_of_the_longest_name_fits():
    """With the longest control, seed and k, and what is put around a file's name while it is written."""
    name = "s" * LONGEST_NAME
    controls = ", ".join(name for name in CONTROLS if not CONTROLS.traits(name).of_units)
    text = f"name: a\nspots: [{{name: {name}, k_percent: [0.0025], controls: [{controls}], "
    study = parse_study(text + "control_seeds: [4294967295], sufficiency: {k_percent: [0.0025]}}]", "s.yaml")
    longest = max(len(cell.name) for cell in plan_cells(study, parameters=1_000_000_000))
    assert longest + len(".safetensors") + len("..xxxxxxxx.codingspot") <= 255
    with pytest.raises(StudyError, match=r"spots\.0\.name: .*longer than the 150 bytes"):
        parse_study(text.replace(name, name + "s") + "}]", "s.yaml")
