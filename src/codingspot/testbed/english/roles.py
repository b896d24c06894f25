"""Who or what is meant: twin sentences that differ in one word, which flips the answer (sister of WinoGrande)."""

import random
from dataclasses import dataclass

from codingspot.testbed.english.items import Item, draw_in_split
from codingspot.testbed.english.words import NAMES, THINGS

CHANCE = 0.5


@dataclass(frozen=True)
class RolesItem(Item):
    """A sentence with a blank ``_``, two fillers of the blank, and the number of the right one."""

    sentence: str
    option1: str
    option2: str
    answer: str


@dataclass(frozen=True)
class Template:
    """A sentence about a first ``{a}`` and a second ``{b}``; one trigger word means the first, the other the second."""

    text: str
    first_word: str
    second_word: str
    kind: str = "people"


# After the blank comes the trigger word, so that scoring the rest of the sentence tells the readings apart.
TEMPLATES = {
    "gave": Template("{a} gave the {thing} to {b} because _ was very {word}.", "kind", "poor"),
    "lent": Template("{a} lent the {thing} to {b}, and later _ {word} it back.", "got", "gave"),
    "borrowed": Template("{a} borrowed the {thing} from {b}, so in the end _ {word} it back.", "gave", "got"),
    "sold": Template("{a} sold the {thing} to {b}, so _ {word} the money for it.", "got", "paid"),
    "bought": Template("{a} bought the {thing} from {b}, so _ {word} the money for it.", "paid", "got"),
    "asked": Template("{a} asked {b} about the {thing} because _ knew {word} about it.", "nothing", "everything"),
    "taught": Template("{a} taught {b} to draw the {thing} because _ was the {word}.", "teacher", "pupil"),
    "carried": Template("{a} carried the {thing} for {b} because _ was very {word}.", "strong", "weak"),
    "thanked": Template("{a} thanked {b} for the {thing} that _ had {word}.", "received", "sent"),
    "hid": Template("{a} hid the {thing} from {b}, so _ {word} it.", "kept", "missed"),
    "beat": Template("{a} beat {b} in the race for the {thing} because _ was {word}.", "fast", "slow"),
    "chased": Template("{a} ran after {b}, who had the {thing}, because _ was the {word}.", "hunter", "thief"),
    "called": Template("{a} called {b} about the lost {thing}, and _ was the one who {word}.", "called", "answered"),
    "showed": Template("{a} showed the {thing} to {b}, who liked it, so _ was {word}.", "proud", "surprised"),
    "fit": Template("The {a} does not fit in the {b} because the _ is too {word}.", "big", "small", "container"),
    "through": Template("The {a} did not go into the {b} because the _ was too {word}.", "wide", "narrow", "container"),
    "fell": Template("The {a} fell out of the {b} because the _ was {word}.", "round", "open", "container"),
    "heavy": Template("The {b} broke under the {a} because the _ was too {word}.", "heavy", "thin", "container"),
    "poured": Template("We took the {a} out of the {b} until the _ was {word}.", "free", "empty", "container"),
}
CONTAINERS = (
    "box",
    "bag",
    "cup",
    "basket",
    "pocket",
    "drawer",
    "bucket",
    "glass",
    "pot",
    "bowl",
    "case",
    "jar",
)
CONTENTS = (*THINGS, "lamp", "clock", "shoe", "hat", "toy", "bottle", "key", "ring")


def _fillers(rng: random.Random, kind: str) -> tuple[str, str, str]:
    """First, second and thing."""
    if kind == "container":
        return rng.choice(CONTENTS), rng.choice(CONTAINERS), ""
    first, second = rng.sample(NAMES, 2)
    return first, second, rng.choice(CONTENTS)


def _draw(rng: random.Random) -> tuple[str, RolesItem]:
    name = rng.choice(list(TEMPLATES))
    template = TEMPLATES[name]
    first, second, thing = _fillers(rng, template.kind)
    meant, word = rng.choice(((first, template.first_word), (second, template.second_word)))
    option1, option2 = rng.sample((first, second), 2)
    sentence = template.text.format(a=first, b=second, thing=thing, word=word)
    split_key = f"roles|{name}|{first}|{second}|{thing}"
    answer = "1" if option1 == meant else "2"
    return split_key, RolesItem(f"{split_key}|{word}", sentence, option1, option2, answer)


def sample(rng: random.Random, held_out: bool) -> RolesItem:
    """An item of the asked split; the split is over (template, fillers), so twins are always on the same side."""
    return draw_in_split(_draw, rng, held_out)


def parts(item: RolesItem) -> tuple[tuple[str, str], str]:
    """The two beginnings, one an option, up to and with the option; and the rest of the sentence, which is scored."""
    before, after = item.sentence.split("_")
    return (before + item.option1, before + item.option2), after


def _solved(item: RolesItem) -> str:
    beginnings, rest = parts(item)
    return beginnings[int(item.answer) - 1] + rest


def _explained(item: RolesItem) -> str:
    """The sentence followed by a question about the blank, and its answer."""
    before, rest = item.sentence.split("_")
    meant = (item.option1, item.option2)[int(item.answer) - 1]
    asked = "Which one" if before.endswith("the ") else "Who"
    return f"{_solved(item)} {asked}{rest[:-1]}? {meant if asked == 'Who' else 'The ' + meant}."


def training_text(rng: random.Random) -> str:
    """Four to nine sentences, one a line, some followed by a question about who or what was meant."""
    explain = rng.random() < 0.25
    drawn = (sample(rng, held_out=False) for _ in range(rng.randint(4, 9)))
    return "\n".join(_explained(item) if explain else _solved(item) for item in drawn)
