"""What captions say of how programs were drawn is each task's own setting."""

from pathlib import Path

import yaml
from synthetic_runs import RunMaker

from codingspot.report.provenance import decoding_phrase, details
from codingspot.report.run_files import Run, read_run
from codingspot.report.summary import summarise
from codingspot.report.tables import build_tables

GREEDY = "pass@1, n = 1 program a problem, greedy"
DRAWN = "pass@1 by the unbiased estimator, n = 10 programs a problem, temperature 0.8"


def with_evaluation(maker: RunMaker, folder: Path, second_code_task: bool = False, **evaluation: object) -> Run:
    maker.write(folder)
    study = yaml.safe_load((folder / "study.yaml").read_text())
    study["evaluation"] |= evaluation
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    if second_code_task:
        plan = (folder / "plan.json").read_text()
        (folder / "plan.json").write_text(plan.replace('"role": "other"', '"role": "code"'))
    return read_run(folder)


def test_the_study_s_setting_is_for_tasks_without_their_own(maker: RunMaker, tmp_path: Path):
    assert decoding_phrase(with_evaluation(maker, tmp_path / "a", code=["testbed_humaneval"])) == GREEDY
    run = with_evaluation(maker, tmp_path / "b", code=["testbed_humaneval"], samples=10, temperature=0.8)
    assert decoding_phrase(run) == DRAWN


def test_a_task_s_own_samples_and_temperature_are_what_captions_state(maker: RunMaker, tmp_path: Path):
    own = {"name": "testbed_humaneval", "samples": 10, "temperature": 0.8, "limit": None}
    run = with_evaluation(maker, tmp_path / "run", code=[own], samples=1, temperature=0.0)
    assert decoding_phrase(run) == DRAWN
    assert dict(details(run))["Programs"].startswith(DRAWN)
    captions = {table.name: table.caption for table in build_tables(run, summarise(run))}
    for name in ("table1_dose_response", "table3_monosemanticity", "verdicts"):
        assert DRAWN in captions[name]
        assert "greedy" not in captions[name]


def test_tasks_drawn_in_different_ways_are_named(maker: RunMaker, tmp_path: Path):
    own = {"name": "testbed_humaneval", "samples": 10, "temperature": 0.8}
    code = [own, {"name": "testbed_comprehension", "samples": None, "temperature": None}]
    run = with_evaluation(maker, tmp_path / "run", second_code_task=True, code=code)
    assert decoding_phrase(run) == f"{DRAWN} (Python problems); {GREEDY} (Comprehension)"


def test_captions_say_where_the_chat_template_was_used(maker: RunMaker, tmp_path: Path):
    own = {"name": "testbed_humaneval", "chat_template": True}
    assert decoding_phrase(with_evaluation(maker, tmp_path / "run", code=[own])) == f"{GREEDY}, chat template"


def test_how_weights_were_read_is_said_where_that_was_not_as_saved(maker: RunMaker, tmp_path: Path):
    maker.write(tmp_path)
    run = read_run(tmp_path)
    assert "Weights read from" not in dict(details(run))
    read = "GGUF (Q4_K, F32), dequantised to bfloat16"
    plan = run.plan.model_copy(update={"model": run.plan.model.model_copy(update={"weights": read})})
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    assert dict(details(read_run(tmp_path)))["Weights read from"] == read
