"""The world's corpora."""

from codingspot.testbed.english import FAMILIES
from codingspot.testbed.world import english_families


def test_every_english_family_is_a_domain_of_its_own() -> None:
    domains = {domain.name: domain for domain in english_families(30, seed=5)}
    assert list(domains) == ["general_text", *FAMILIES]
    assert all(domain.kind == "general" and len(domain.texts) == 30 for domain in domains.values())
    texts = [set(domain.texts) for domain in domains.values()]
    assert sum(map(len, texts)) == len(set.union(*texts))
    assert english_families(30, seed=5) == tuple(domains.values()) != english_families(30, seed=6)
