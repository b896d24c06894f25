"""The names by which the shipped models are asked for: one meaning wherever a model is named."""

import pytest

import codingspot
from codingspot.errors import ModelError
from codingspot.models import configured_model, load_model, model_source, shipped_model


def test_unknown_shipped_model():
    with pytest.raises(ModelError, match="plain"):
        shipped_model("none")


@pytest.mark.parametrize(
    ("name", "folder"),
    [("testbed", "plain"), ("testbed-routed", "routed"), ("testbed-scattered", "scattered")],
)
def test_a_shipped_model_is_loaded_by_its_name_and_keeps_it(name: str, folder: str):
    named = codingspot.load_model(name)
    assert named.id == name
    assert named.fingerprint == load_model(shipped_model(folder)).fingerprint
    assert load_model(shipped_model(folder)).id == str(shipped_model(folder))
    assert configured_model(name).num_parameters() == named.model.num_parameters()


def test_names_of_models_are_where_they_are(tmp_path, monkeypatch):
    assert model_source("testbed") == str(shipped_model())
    assert model_source("testbed-plain") == str(shipped_model())
    assert model_source("org/testbed-routed") == "org/testbed-routed"
    with pytest.raises(ModelError, match=r"no testbed model 'rooted'.*plain"):
        load_model("testbed-rooted")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "testbed-rooted").mkdir()
    assert model_source("testbed-rooted") == "testbed-rooted"
