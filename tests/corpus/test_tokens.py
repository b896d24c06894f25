import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codingspot.corpus import Domain, pack
from codingspot.errors import CorpusError
from codingspot.tokenization import with_bos

EOS, A, B, C = 1, 2, 3, 4


def test_documents_are_joined_and_cut_without_padding(tokenizer) -> None:
    packed = pack(Domain("x", "code", ("a b c a b",)), tokenizer, sequence_length=2)
    assert packed.input_ids.tolist() == [[A, B], [C, A], [B, EOS]]
    packed = pack(Domain("x", "code", ("a b c a",)), tokenizer, sequence_length=2)
    assert packed.input_ids.tolist() == [[A, B], [C, A]]  # the last <eos> fills no sequence
    assert packed.input_ids.dtype == torch.int64
    assert (packed.tokens, packed.predicted_tokens, packed.documents) == (4, 2, 1)


def test_exact_repeats_are_dropped(tokenizer) -> None:
    packed = pack(Domain("x", "code", ("a", "b", "a", "a", "b ")), tokenizer, sequence_length=2)
    assert packed.duplicates == 2
    assert sorted(packed.input_ids.tolist()) == [[A, EOS], [B, EOS], [B, EOS]]


def test_the_seed_decides_the_order(tokenizer) -> None:
    domain = Domain("x", "code", tuple(f"{x} {y}" for x in "abcdef" for y in "abcdef"))
    first, again, other = (pack(domain, tokenizer, sequence_length=3, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.input_ids, again.input_ids)
    assert not torch.equal(first.input_ids, other.input_ids)
    assert sorted(first.input_ids.tolist()) == sorted(other.input_ids.tolist())


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(2, 7), small=st.integers(7, 60), more=st.integers(0, 60))
def test_a_smaller_budget_is_a_prefix(tokenizer, length: int, small: int, more: int) -> None:
    domain = Domain("x", "code", tuple(f"{x} {y}" for x in "abcdef" for y in "abcdef"))
    less = pack(domain, tokenizer, sequence_length=length, token_budget=small)
    larger = pack(domain, tokenizer, sequence_length=length, token_budget=small + more)
    assert torch.equal(larger.input_ids[: len(less.input_ids)], less.input_ids)
    assert len(less.input_ids) == small // length


def test_too_little_text_or_budget_is_refused(tokenizer) -> None:
    domain = Domain("tiny", "code", ("a b",))
    assert pack(domain, tokenizer, sequence_length=3).tokens == 3
    with pytest.raises(CorpusError, match="'tiny' has 3 tokens, fewer than one sequence of 4"):
        pack(domain, tokenizer, sequence_length=4)
    with pytest.raises(CorpusError, match="budget of domain 'tiny'"):
        pack(domain, tokenizer, sequence_length=3, token_budget=2)
    with pytest.raises(CorpusError, match="at least 2"):
        pack(domain, tokenizer, sequence_length=1)
    tokenizer.eos_token = None
    with pytest.raises(CorpusError, match="no end-of-text token"):
        pack(domain, tokenizer, sequence_length=2)


def test_where_texts_begin(tokenizer) -> None:
    domain = Domain("x", "code", ("a b c a b",))
    with pytest.raises(ValueError, match="no beginning-of-text token"):
        with_bos(tokenizer, "sequence")
    tokenizer.bos_token = "f"
    bos = tokenizer.bos_token_id
    assert pack(domain, tokenizer, sequence_length=3).input_ids.tolist() == [[A, B, C], [A, B, EOS]]
    with_bos(tokenizer, "sequence")
    assert pack(domain, tokenizer, sequence_length=3).input_ids.tolist() == [[bos, A, B], [bos, C, A], [bos, B, EOS]]
    budgeted = pack(domain, tokenizer, sequence_length=3, token_budget=8)
    assert budgeted.input_ids.tolist() == [[bos, A, B], [bos, C, A]]
    with_bos(tokenizer, "document")
    assert pack(domain, tokenizer, sequence_length=3).input_ids.tolist() == [[bos, A, B], [C, A, B]]
