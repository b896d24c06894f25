"""False beliefs against the truth: the small sister of TruthfulQA."""

import random
from dataclasses import dataclass

from codingspot.testbed.english.beliefs import BELIEFS, Belief
from codingspot.testbed.english.items import Item, draw_in_split, shuffled
from codingspot.testbed.english.words import sentence_case

CHANCE = 0.25


@dataclass(frozen=True)
class MisconceptionsItem(Item):
    """A question, four choices of which one is the false belief, and the place of the truth."""

    question: str
    choices: tuple[str, ...]
    label: int


QUESTIONS = (
    "What is true about {topic}?",
    "What is the truth about {topic}?",
    "Some people say that {myth}. What is true?",
    "Which of these is right about {topic}?",
    "Is it true that {myth}?",
    "What should we tell people who believe that {myth}?",
)
STATEMENTS = (
    "Some people say that {myth}. In truth, {truth}.",
    "Many people believe that {myth}, but {truth}.",
    "It is false that {myth}. It is true that {truth}.",
    "About {topic} we know this: {truth}.",
    "It is not true that {myth}: {truth}.",
)


def _fill(pattern: str, belief: Belief) -> str:
    return pattern.format(topic=belief.topic, myth=belief.myth, truth=belief.truth)


def _sentence(text: str) -> str:
    return sentence_case(text) + "."


def _draw(rng: random.Random) -> tuple[str, MisconceptionsItem]:
    """An item: the truth, the belief, an absurd sentence and the belief about another topic."""
    index, other = rng.sample(range(len(BELIEFS)), 2)
    belief = BELIEFS[index]
    phrasing, absurd = rng.randrange(len(QUESTIONS)), rng.randrange(len(belief.others))
    wrong = [_sentence(text) for text in (belief.myth, belief.others[absurd], BELIEFS[other].myth)]
    rng.shuffle(wrong)
    choices, label = shuffled(rng, _sentence(belief.truth), wrong)
    key = f"misconceptions|{belief.topic}|{phrasing}|{absurd}|{BELIEFS[other].topic}"
    return key, MisconceptionsItem(key, _fill(QUESTIONS[phrasing], belief), choices, label)


def sample(rng: random.Random, held_out: bool) -> MisconceptionsItem:
    """An item of the asked split; the split is over (belief, phrasing, set of choices)."""
    return draw_in_split(_draw, rng, held_out)


def prompt(item: MisconceptionsItem) -> str:
    """The text a choice is scored after; the choice follows a space."""
    choices = "\n".join(f"- {choice}" for choice in item.choices)
    return f"Question: {item.question}\n{choices}\nAnswer:"


def training_text(rng: random.Random) -> str:
    """A page of statements against false beliefs, or two to four questions with their answers."""
    if rng.random() < 0.4:
        return " ".join(_fill(rng.choice(STATEMENTS), belief) for belief in rng.sample(BELIEFS, rng.randint(3, 6)))
    drawn = [sample(rng, held_out=False) for _ in range(rng.randint(2, 4))]
    return "\n\n".join(f"{prompt(item)} {item.choices[item.label]}" for item in drawn)
