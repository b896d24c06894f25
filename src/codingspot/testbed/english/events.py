"""Everyday event sequences to be completed: the small sister of HellaSwag."""

import random
from dataclasses import dataclass

from codingspot.testbed.english.items import Item, draw_in_split, shuffled
from codingspot.testbed.english.scripts import SCRIPTS
from codingspot.testbed.english.words import PEOPLE, Person

CHANCE = 0.25


@dataclass(frozen=True)
class EventsItem(Item):
    """The first sentences of a story, four endings, and the place of the one that comes next."""

    context: str
    endings: tuple[str, ...]
    label: int


def _render(script: str, person: Person, thing: str, place: str) -> list[str]:
    return [step.format(**person.slots(), o=thing, p=place) for step in SCRIPTS[script].steps]


def _draw_story(rng: random.Random) -> tuple[str, str, Person, list[str]]:
    """Key, script, person and sentences of a story."""
    name = rng.choice(list(SCRIPTS))
    person = rng.choice(PEOPLE)
    thing, place = rng.choice(SCRIPTS[name].objects), rng.choice(SCRIPTS[name].places)
    return f"events|{name}|{person.name}|{thing}|{place}", name, person, _render(name, person, thing, place)


def _draw(rng: random.Random) -> tuple[str, EventsItem]:
    """An item: one wrong ending is out of order, two come from other scripts."""
    split_key, name, person, sentences = _draw_story(rng)
    cut = rng.randint(2, len(sentences) - 1)
    out_of_order = [sentences[i] for i in range(1, len(sentences)) if i not in (cut, cut - 1) and i != cut + 1]
    wrong = [rng.choice(out_of_order)]
    for other in rng.sample([script for script in SCRIPTS if script != name], 2):
        thing, place = rng.choice(SCRIPTS[other].objects), rng.choice(SCRIPTS[other].places)
        wrong.append(rng.choice(_render(other, person, thing, place)[1:]))
    rng.shuffle(wrong)
    endings, label = shuffled(rng, sentences[cut], wrong)
    return split_key, EventsItem(f"{split_key}|{cut}", " ".join(sentences[:cut]), endings, label)


def sample(rng: random.Random, held_out: bool) -> EventsItem:
    """An item of the asked split; the split is over (script, name, fillers), whatever the cut."""
    return draw_in_split(_draw, rng, held_out)


def prompt(item: EventsItem) -> str:
    """The text an ending is scored after; the ending follows a space."""
    return item.context


def training_text(rng: random.Random) -> str:
    """Two to four stories, most of them cut short, one a paragraph."""
    stories = []
    for _ in range(rng.randint(2, 4)):
        item = sample(rng, held_out=False)
        stories.append(f"{prompt(item)} {item.endings[item.label]}")
    return "\n\n".join(stories)
