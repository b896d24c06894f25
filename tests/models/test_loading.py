import json
import re
from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import (
    BertConfig,
    BertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from codingspot.errors import ModelError
from codingspot.models import ParameterLayout, configured_model, fingerprint, load_model

CONFIG = LlamaConfig(
    vocab_size=8, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, head_dim=4
)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    LlamaForCausalLM(CONFIG).save_pretrained(tmp_path)
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<eos>": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>").save_pretrained(tmp_path)
    return tmp_path


def test_local_folder_loads_in_evaluation_mode(saved) -> None:
    loaded = load_model(saved, device="cpu")
    assert not loaded.model.training
    assert loaded.tokenizer.eos_token_id == 1
    assert loaded.id == str(saved)
    assert loaded.fingerprint == fingerprint(loaded.model)
    assert load_model(saved, device="cpu").fingerprint == loaded.fingerprint
    assert load_model(saved, dtype="bfloat16", device="cpu").model.dtype == torch.bfloat16


def test_fingerprint_is_kept_once_taken(saved) -> None:
    loaded = load_model(saved, device="cpu")
    before = loaded.fingerprint
    with torch.no_grad():
        loaded.model.lm_head.weight.zero_()
    assert loaded.fingerprint == before


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (
            lambda: BertForMaskedLM(
                BertConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
            ),
            "BertForMaskedLM",
        ),
        (
            lambda: T5ForConditionalGeneration(
                T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
            ),
            "T5ForConditionalGeneration",
        ),
        (lambda: LlamaModel(CONFIG), "LlamaModel"),
    ],
)
def test_model_that_is_not_causal_is_refused(tmp_path, model, kind) -> None:
    model().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=f"is a {kind}, not a causal language model"):
        load_model(tmp_path)


def test_incomplete_checkpoint_is_refused(saved) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(ModelError, match=r"lacks 9 weights of LlamaForCausalLM, such as model\.layers\.1\."):
        load_model(saved, device="cpu")


@pytest.mark.parametrize("device", ["meta", "nowhere", "cuda:77", "xla"])
def test_a_device_that_can_not_be_used_is_named_before_anything_is_read(tmp_path, device) -> None:
    with pytest.raises(ModelError, match=f"device '{device}' can't be used here .*; use cpu, or cuda") as caught:
        load_model(tmp_path, device=device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ("5", "it is 5, not an object of settings"),
        ("null", "it is None, not an object of settings"),
        ("[1]", r"it is \[1\], not an object of settings"),
        ('{"model_type": ["llama"]}', r"its model_type \['llama'\] is no text"),
        ('{"model_type": {}}', r"its model_type \{\} is no text"),
    ],
)
def test_a_configuration_that_is_none_is_a_plain_sentence(tmp_path, config, named) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=named) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a\0"])
def test_a_model_without_a_name_is_refused(name) -> None:
    with pytest.raises(ModelError, match="no model can be called"):
        load_model(name)


def test_damaged_or_missing_files_are_named(saved) -> None:
    weights = saved / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"weights of .* can't be loaded"):
        load_model(saved, device="cpu")
    weights.unlink()
    torch.save({}, saved / "pytorch_model.bin")
    with pytest.raises(ModelError, match="needs complete safetensors files"):
        load_model(saved, device="cpu")
    weights.write_bytes(whole)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (saved / name).unlink()
    with pytest.raises(ModelError, match="tokenizer"):
        load_model(saved, device="cpu")
    (saved / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(saved)


def test_unknown_model_is_refused_quickly_without_a_network(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("codingspot.models.finding.hub_answers", lambda: False)
    with pytest.raises(ModelError, match="'nobody/nothing-at-all' was found neither as a folder nor on"):
        load_model("nobody/nothing-at-all")
    with pytest.raises(ModelError, match="does not exist"):
        load_model(tmp_path / "none")
    with pytest.raises(ModelError, match="unknown dtype 'int8'"):
        load_model(tmp_path, dtype="int8")


def test_revision_may_follow_the_id(monkeypatch) -> None:
    asked = {}

    def from_pretrained(source, **options):
        asked.update(source=source, **options)
        raise OSError("stop here")

    monkeypatch.setattr("codingspot.models.finding.hub_answers", lambda: False)
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", from_pretrained)
    with pytest.raises(ModelError, match="stop here"):
        load_model("org/name@v2")
    assert (asked["source"], asked["revision"]) == ("org/name", "v2")


def test_several_files_and_one_are_the_same_model(saved, tmp_path) -> None:
    loaded = load_model(saved, device="cpu")
    loaded.model.save_pretrained(tmp_path / "several", max_shard_size="1KB")
    loaded.tokenizer.save_pretrained(tmp_path / "several")
    assert len(list((tmp_path / "several").glob("model-*.safetensors"))) > 2
    assert load_model(tmp_path / "several", device="cpu").fingerprint == loaded.fingerprint
    next((tmp_path / "several").glob("model-*.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"weights of .* can't be loaded"):
        load_model(tmp_path / "several", device="cpu")


def test_device_map_attention_and_dtype_are_options(saved) -> None:
    loaded = load_model(saved, device_map="auto", attention="eager", dtype="auto")
    assert loaded.model.config._attn_implementation == "eager"
    assert {parameter.device.type for parameter in loaded.model.parameters()} <= {"cpu", "cuda"}
    with pytest.raises(ModelError, match="device and device_map are both given"):
        load_model(saved, device_map="auto", device="cpu")
    with pytest.raises(ModelError, match="can't use attention implementation 'quantum'"):
        load_model(saved, attention="quantum")
    with pytest.raises(ModelError, match="can't be put on device map 'everywhere'"):
        load_model(saved, device_map="everywhere")


def test_offloaded_weights_are_refused(saved) -> None:
    modules = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    with pytest.raises(ModelError, match="offloaded to the disk, where weights have no lasting gradient"):
        load_model(saved, device_map={**modules, "model.layers.0": "disk"})


def test_quantised_weights_are_refused(saved) -> None:
    config = json.loads((saved / "config.json").read_text())
    settings = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (saved / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    with pytest.raises(ModelError, match=r"is quantised \(bitsandbytes\): such weights have no gradient"):
        load_model(saved, device="cpu")


def test_a_configuration_alone_gives_the_model_without_weights(saved, tmp_path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text((saved / "config.json").read_text())
    model = configured_model(tmp_path / "bare", dtype="bfloat16")
    assert {(parameter.device.type, parameter.dtype) for parameter in model.parameters()} == {("meta", torch.bfloat16)}
    assert ParameterLayout.of(model) == ParameterLayout.of(load_model(saved, device="cpu").model)
    (tmp_path / "bare" / "config.json").write_text('{"model_type": "llama", "hidden_size": "wide"}')
    with pytest.raises(ModelError, match=r"config\.json of .*bare can't be used \(Validation error.*; correct it"):
        configured_model(tmp_path / "bare")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_attention_heads": 0}, "num_attention_heads 0, which must be at least 1"),
        ({"num_hidden_layers": 0}, "num_hidden_layers 0"),
        ({"num_hidden_layers": -1}, "num_hidden_layers -1"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers 1000000000, which must be at most 10,000"),
        ({"num_key_value_heads": 3}, "num_key_value_heads 3, which must be a divisor of the 2 attention heads"),
        ({"vocab_size": 0}, "vocab_size 0"),
        ({"hidden_size": 0}, "hidden_size 0"),
        ({"max_position_embeddings": -5}, "max_position_embeddings -5"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps nan"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 0}}, "rope_theta 0"),
        ({"rope_parameters": {"rope_type": "nonsense"}}, "KeyError: 'nonsense'"),
        ({"hidden_act": "nonsense"}, "KeyError: 'nonsense'"),
        ({"architectures": 3}, "architectures 3, which must be a list of names"),
        ({"auto_map": 3}, "can't be used"),
        ({"dtype": "nonsense"}, "nonsense"),
    ],
)
def test_a_configuration_that_can_t_be_a_model_s_is_one_line(saved, settings, named) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, **settings}))
    for read in (configured_model, lambda folder: load_model(folder, device="cpu")):
        with pytest.raises(ModelError, match=re.escape(named)) as caught:
            read(saved)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["3", "null", "[]", ""])
def test_a_configuration_of_another_form_is_one_line(saved, text) -> None:
    (saved / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json of .* can't be used"):
        configured_model(saved)


def test_weights_beyond_the_configuration_are_refused_by_name(saved, capfd) -> None:
    config = {**CONFIG.to_dict(), "num_hidden_layers": 2}
    LlamaForCausalLM(LlamaConfig(**config)).save_pretrained(saved)
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    capfd.readouterr()
    beyond = r"has 9 weights that a LlamaForCausalLM .* no place for, .* model\.layers\.1\."
    with pytest.raises(ModelError, match=beyond):
        load_model(saved, device="cpu")
    (saved / "config.json").write_text(json.dumps({**config, "intermediate_size": 8}))
    other = r"has 6 weights of another shape .* model\.layers\.0\.mlp.*: \[8, 16\], not \[8, 8\]"
    with pytest.raises(ModelError, match=other):
        load_model(saved, device="cpu")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("extra", "refused"),
    [
        ("model.layers.0.self_attn.rotary_emb.inv_freq", False),
        ("transformer.h.0.attn.masked_bias", False),
        ("v_head.weight", True),
    ],
)
def test_constants_that_older_libraries_saved_are_no_weights(saved, extra, refused) -> None:
    weights = load_file(saved / "model.safetensors")
    save_file({**weights, extra: torch.ones(8)}, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"v_head\.weight") if refused else nullcontext():
        load_model(saved, device="cpu")


@pytest.mark.parametrize(
    ("name", "text"), [("tokenizer.json", ""), ("tokenizer.json", "{}"), ("tokenizer_config.json", "[]")]
)
def test_a_damaged_tokenizer_is_one_line(saved, name, text) -> None:
    (saved / name).write_text(text)
    with pytest.raises(ModelError, match=r"the tokenizer of .* can't be loaded"):
        load_model(saved, device="cpu")


@pytest.mark.parametrize(
    ("vocabulary", "named"),
    [({"<unk>": 0, "far": 8}, r"has token 'far' with number 8, and the model embeds 8;"), ({}, "has no tokens")],
)
def test_a_tokenizer_that_doesn_t_fit_is_refused(saved, vocabulary, named) -> None:
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    (saved / "tokenizer_config.json").unlink()
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(saved)
    with pytest.raises(ModelError, match=named):
        load_model(saved, device="cpu")
