"""Questions on facts of several subjects: the small sister of MMLU."""

import random
from dataclasses import dataclass

from codingspot.testbed.english.facts import RELATIONS
from codingspot.testbed.english.items import Item, draw_in_split, shuffled
from codingspot.testbed.english.words import sentence_case

CHANCE = 0.25


@dataclass(frozen=True)
class KnowledgeItem(Item):
    """A question of a subject, four choices, and the place of the right one."""

    subject: str
    question: str
    choices: tuple[str, ...]
    label: int


FACTS = [(name, x) for name, relation in RELATIONS.items() for x in relation.facts]


def _draw(rng: random.Random) -> tuple[str, KnowledgeItem]:
    name, x = rng.choice(FACTS)
    relation = RELATIONS[name]
    phrasing = rng.randrange(len(relation.questions))
    right = relation.facts[x]
    wrong = rng.sample(sorted(set(relation.facts.values()) - {right, x}), 3)
    choices, label = shuffled(rng, right, wrong)
    key = f"knowledge|{name}|{x}|{phrasing}|{';'.join(sorted(choices))}"
    return key, KnowledgeItem(key, relation.subject, relation.questions[phrasing].format(x=x), choices, label)


def sample(rng: random.Random, held_out: bool) -> KnowledgeItem:
    """An item of the asked split; the split is over (fact, phrasing, set of choices)."""
    return draw_in_split(_draw, rng, held_out)


def prompt(item: KnowledgeItem) -> str:
    """The text a choice is scored after; the choice follows a space."""
    return f"Question: {item.question}\nChoices: {', '.join(item.choices)}\nAnswer:"


def _lesson(rng: random.Random) -> str:
    """Facts in statement form."""
    sentences = []
    for _ in range(rng.randint(6, 12)):
        name, x = rng.choice(FACTS)
        relation = RELATIONS[name]
        sentences.append(sentence_case(rng.choice(relation.statements).format(x=x, y=relation.facts[x])))
    return " ".join(sentences)


def training_text(rng: random.Random) -> str:
    """A lesson of plain statements, or two to five questions with choices and their answers."""
    if rng.random() < 0.35:
        return _lesson(rng)
    drawn = [sample(rng, held_out=False) for _ in range(rng.randint(2, 5))]
    return "\n\n".join(f"{prompt(item)} {item.choices[item.label]}" for item in drawn)
