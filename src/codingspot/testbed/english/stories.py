# ruff: noqa: E501 (a sentence is kept on one line, as it is read)
"""Running prose of general English: stories, descriptions, dialogues, letters."""

import random

from codingspot.testbed.english.words import (
    ANIMALS,
    COLORS,
    DAYS,
    FOODS,
    FRUITS,
    MONTHS,
    NUMBER_WORDS,
    PLACES,
    STREETS,
    THINGS,
    join_and,
    two_people,
    with_article,
)

_ADJECTIVES = (
    "small",
    "big",
    "old",
    "new",
    "quiet",
    "clean",
    "cold",
    "warm",
    "bright",
    "heavy",
    "empty",
    "free",
)
_OPENINGS = (
    "One {day} {name} walked to the {place} with {other}.",
    "{name} lived near the {place} with {a_animal}.",
    "In {month} {name} and {other} met at the {place}.",
    "It was a {adj} morning in {month}, and {name} was alone at the {place}.",
    "Once upon a time there was {a_animal} who lived at the {place}. {name} was its friend.",
)
_MIDDLES = (
    "{She} saw {a_animal} near the {place2}.",
    "There {she} found a {adj} {thing} under a {color} stone.",
    '{other} said, "Look, {a_animal}!"',
    '"Where is my {thing}?" asked {name}. "It is in the {color} box," said {other}.',
    "{She} looked for the {thing}, but it was not there.",
    "They had {food} and {a_fruit} for lunch.",
    "The {animal} ran over the bridge and then along the {place2}.",
    "While {she} waited, the {animal} began to sing.",
    '"If it rains, we go home," said {other}; "else we stay."',
    "{She} counted {number} {things}, and the last one was the largest.",
    "{other} had {number} {things}: {number2} {color}, the others {color2}.",
    "{She} wanted to return to the {place2} before the end of the day.",
    "Nobody was at the {place2}, so {she} let the {animal} in.",
    "For a long time {she} said nothing and only looked at the {place2}.",
    "{name} gave {other} a {color} {thing} (it was very {adj}).",
    "{She} tried the door: it was closed. {She} tried it again, and then it was open!",
    "The {place2} was {adj}, {adj2} and {color}.",
    "{other} did not know what to do next - but {name} did.",
    "{She} put the {thing} into the basket with the other items.",
    "They had to use both hands to push the {adj} door.",
)
_ENDINGS = (
    "At the end of the day they were tired but happy.",
    "Then {name} went home, and that is the end of the story.",
    '"That is all," said {name}, and {other} had to laugh.',
    "{She} never came back to the {place}.",
    "When the work was done, they sat down at the {place} and had some {food}.",
    "The {animal} was true to {name} for the rest of its life.",
)


def _slots(rng: random.Random) -> dict[str, str]:
    person, other = two_people(rng)
    thing, thing2 = rng.sample(list(THINGS), 2)
    adjectives, colors = rng.sample(_ADJECTIVES, 2), rng.sample(COLORS, 2)
    place, place2 = rng.sample(PLACES, 2)
    animal = rng.choice(ANIMALS)
    numbers = rng.sample(NUMBER_WORDS[2:], 2)
    return person.slots() | {
        "other": other.name,
        "thing": thing,
        "things": THINGS[thing2],
        "adj": adjectives[0],
        "adj2": adjectives[1],
        "color": colors[0],
        "color2": colors[1],
        "place": place,
        "place2": place2,
        "animal": animal,
        "a_animal": with_article(animal),
        "food": rng.choice(FOODS),
        "a_fruit": with_article(rng.choice(FRUITS)),
        "number": max(numbers, key=NUMBER_WORDS.index),
        "number2": min(numbers, key=NUMBER_WORDS.index),
        "day": rng.choice(DAYS),
        "month": rng.choice(MONTHS),
    }


def story(rng: random.Random) -> str:
    """A little story in one to three paragraphs."""
    slots = _slots(rng)
    sentences = [rng.choice(_OPENINGS), *rng.sample(_MIDDLES, rng.randint(5, 9)), rng.choice(_ENDINGS)]
    text = ""
    for sentence in sentences:
        text += sentence.format(**slots) + ("\n\n" if rng.random() < 0.2 else " ")
    return text.strip()


def description(rng: random.Random) -> str:
    """What a place looks like."""
    slots = _slots(rng)
    sentences = [
        "The {place} is {adj} in {month}.",
        "On the left there is a {color} house; on the right there is the {place2}.",
        "Each {animal} here is {color} or {color2}.",
        "The door of the house is {adj} and the roof is {color2}.",
        "It is open from 9:00 to 17:30, but not on {day}.",
        "A ticket costs $4.50; for children it is half of that ($2.25).",
        "About 80% of the people who come here are from the {adj} town.",
        "You can use the public path; it is free for all.",
        "The static air of {month} makes it a quiet place.",
        "There are {number} rooms in it, and the first room is the largest, the last the smallest.",
        "A class of pupils comes to the {place2} each {day}.",
        "You can buy {food}, {a_fruit} and other local food.",
        "It is about 3 km long and 1/2 km wide.",
    ]
    chosen = rng.sample(sentences[1:], rng.randint(5, 8))
    return " ".join(sentence.format(**slots) for sentence in [sentences[0], *chosen])


def dialogue(rng: random.Random) -> str:
    """Two people talk, a line each."""
    slots = _slots(rng)
    pairs = (
        ("Do you have the {thing}?", "Yes, it is in my bag. Do you want it?"),
        ("What is in the {color} box?", "Nothing! The box is empty."),
        ("How many {things} do you have?", "Let me count... {number} in total."),
        ("Is it true that you saw {a_animal}?", "No, that is false. It was {adj}, but not {a_animal}."),
        ("When do you return?", "On {day}, if the weather is good; else in {month}."),
        ("Who is next?", "First you, then me, then the class."),
        ("Can I try?", "Of course. Push the {color} key and wait."),
        ("What is the length of the {place}?", "It is 12 steps long, at the most."),
        ("May I print this text?", "Yes, but print only the first page."),
        ("Is this {adj} or {adj2}?", "Both, I think."),
        ("Why did you break the {thing}?", "I did not! It was {adj} from the start."),
    )
    lines = []
    for ask, answer in rng.sample(pairs, rng.randint(4, 7)):
        lines += [f"{slots['name']}: {ask.format(**slots)}", f"{slots['other']}: {answer.format(**slots)}"]
    return "\n".join(lines)


def letter(rng: random.Random) -> str:
    """A letter or an e-mail, with its head and its greeting."""
    slots = _slots(rng)
    name, other = slots["name"], slots["other"]
    lines = [
        "thank you for the {things} you sent me in {month}.",
        "I am at the {place} now, and the weather is {adj}.",
        "Please return my {color} {thing} by {day}.",
        "We found {a_animal} at the {place2}!",
        "The total is $"
        + f"{rng.randint(2, 30)}.{rng.choice(('00', '25', '50', '95'))}"
        + ", as you can see in the list.",
        "Let me know if you need more items; I have {number} of them.",
        "The key to the house is under the {adj} stone.",
        "I add a list of the names of the class, from first to last.",
        "Do not wait for me while I am at the {place2}.",
        "Can you print the text for me? The file is {place}_{color}.txt.",
        "My new address is " + f"{rng.randint(1, 90)} {rng.choice(STREETS)}, flat #{rng.randint(1, 12)}.",
    ]
    chosen = [line.format(**slots) for line in rng.sample(lines, rng.randint(4, 6))]
    body = " ".join(line[0].upper() + line[1:] for line in chosen)
    if rng.random() < 0.5:
        head = (
            f"From: {name} <{name.lower()}@mail.org>\nTo: {other} <{other.lower()}@{slots['place']}.com>\n"
            f"Subject: {rng.choice(('Re: ', ''))}{slots['place']} & {slots['place2']}\n\nHello {other},"
        )
    else:
        head = f"{slots['day']}, {rng.randint(1, 28)} {slots['month']}\n\nDear {other},"
    return f"{head}\n\n{body}\n\nYour friend,\n{name}"


def quotation(rng: random.Random) -> str:
    """A text with an indented block quotation in it."""
    slots = _slots(rng)
    indent = rng.choice(("  ", "    "))
    lines = [line.format(**slots) for line in rng.sample(_MIDDLES[2:8] + _MIDDLES[10:16], 3)]
    quoted = "\n".join(f"{indent}{line}" for line in lines)
    items = join_and(rng.sample(FOODS, 3))
    return (
        f"In the old book of the {slots['place']} we read (page {rng.randint(2, 90)}):\n\n{quoted}\n\n"
        f'Here {slots["name"]} [the {slots["animal"]}\'s friend] is true to the text. The words "{items}" are not in it. '
        f"See also note {rng.randint(1, 9)} at the end of the first part."
    )
