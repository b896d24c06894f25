# ruff: noqa: E501 (a sentence is kept on one line, as it is read)
"""Papers of everyday life: lists, receipts, recipes, addresses, plans, directions, tables."""

import random

from codingspot.testbed.english.words import (
    DAYS,
    FOODS,
    FRUITS,
    MONTHS,
    NAMES,
    PLACES,
    STREETS,
    SURNAMES,
    THINGS,
    sentence_case,
    two_people,
)


def _address(rng: random.Random) -> str:
    flat = f", flat #{rng.randint(1, 20)}" if rng.random() < 0.4 else ""
    return f"{rng.randint(1, 99)} {rng.choice(STREETS)}{flat}"


def receipt(rng: random.Random) -> str:
    """A shop receipt whose lines and total are right."""
    lines = [f"{rng.choice(SURNAMES)} & {rng.choice(('Son', 'Co.', 'Daughter'))}, {_address(rng)}"]
    lines += [
        f"{rng.choice(DAYS)} {rng.randint(8, 18)}:{rng.randint(10, 59)}   receipt #{rng.randint(100, 999)}",
        "",
    ]
    total = 0
    for things in rng.sample(list(THINGS.values()), rng.randint(3, 5)):
        count, price = rng.randint(1, 6), rng.randint(1, 6)
        total += count * price
        lines.append(f"{things}: {count} * ${price} = ${count * price}")
    paid = (total // 10 + 1) * 10
    lines += ["-----", f"total = ${total}", f"paid = ${paid}", f"back = ${paid} - ${total} = ${paid - total}"]
    lines.append(
        rng.choice(("Thank you!", "No return after 10 days.", "Void if not signed.", "(tax of 5% is in the price)"))
    )
    return "\n".join(lines)


def shopping(rng: random.Random) -> str:
    """A shopping or packing list, with bullets or indented lines under headings."""
    bullet = rng.choice(("- ", "* ", "[ ] ", "+ "))
    indent = rng.choice(("", "  ", "    "))
    person, other = two_people(rng)
    lines = [f"{person.name}'s list for {rng.choice(DAYS)}:", ""]
    for place in rng.sample(PLACES, rng.randint(2, 3)):
        lines.append(f"{sentence_case(place)}:")
        names = rng.sample(FOODS + FRUITS + tuple(THINGS.values()), rng.randint(2, 5))
        lines += [
            f"{indent}{bullet}{name}{rng.choice(('', '', f' ({rng.randint(2, 12)})', f' x {rng.randint(2, 9)}'))}"
            for name in names
        ]
    lines += [
        "",
        f"Do not add new items! Ask {other.name} first; the list has {sum(bullet in line for line in lines)} items in all.",
    ]
    return "\n".join(lines)


def recipe(rng: random.Random) -> str:
    """A recipe with amounts and numbered steps."""
    foods = rng.sample(FOODS, 3)
    fruit = rng.choice(FRUITS)
    minutes = rng.choice((5, 10, 15, 20, 30))
    steps = [
        f"Put the {foods[0]} into a bowl.",
        f"Add the {foods[1]}; mix for {minutes} minutes.",
        f"Cut the {fruit} into small parts.",
        f"While the water is hot, push in the {foods[2]}.",
        "If it is too dry, add some water; else do nothing.",
        f"Let it rest for {minutes * 2} minutes, then reverse the bowl over a plate.",
        "Repeat step 2 until it is done.",
        "Sort out the bad parts and filter the water.",
    ]
    chosen = rng.sample(steps, rng.randint(4, 6))
    lines = [f"{sentence_case(fruit)} with {foods[0]} (for {rng.randint(2, 8)})", ""]
    lines += [f"  {rng.choice(('1/2', '1/4', '2', '3'))} cups of {food}" for food in foods]
    lines += ["", *[f"{number}. {step}" for number, step in enumerate(chosen, 1)]]
    return "\n".join(lines)


def addresses(rng: random.Random) -> str:
    """An address book."""
    lines = []
    for name in sorted(rng.sample(NAMES, rng.randint(4, 7))):
        surname = rng.choice(SURNAMES)
        lines.append(f"{surname}, {name}: {_address(rng)}; tel. {rng.randint(100, 999)}-{rng.randint(1000, 9999)}")
        if rng.random() < 0.5:
            lines.append(
                f"    <{name.lower()}_{surname.lower()}@{rng.choice(PLACES)}.{rng.choice(('org', 'com', 'net'))}>"
            )
    return "\n".join(lines)


def plan(rng: random.Random) -> str:
    """A plan of a day: times and what is done."""
    acts = ("read the text", "return the books", "print the class list", "map the local paths", "wash the static glass",
            "filter the water", "count the stones", "lunch at the lake", "push the cart", "sort the cards", "rest",
            "meet at the bridge", "add up the prices", "sing in the park", "collect the eggs")  # fmt: skip
    hour = rng.randint(6, 9)
    lines = [f"Plan for {rng.choice(DAYS)}, {rng.choice(MONTHS)} {rng.randint(1, 28)}"]
    for act in rng.sample(acts, rng.randint(5, 8)):
        lines.append(f"{hour}:{rng.choice(('00', '15', '30', '45'))} - {act} ({rng.choice(NAMES)})")
        hour += rng.randint(1, 2)
    lines.append(rng.choice(("Done!", "* = if there is time", "Rain? Then we stay in.", "End of plan.")))
    return "\n".join(lines)


def directions(rng: random.Random) -> str:
    """How to get from one place to another, in arrows and in words."""
    places = rng.sample(PLACES, 4)
    arrow = rng.choice(("->", "=>", ">"))
    person, other = two_people(rng)
    turns = rng.sample(
        ("turn left", "turn right", "go over the bridge", "take the second path", "go on for 5 minutes"), 3
    )
    return (
        f"From the {places[0]} to the {places[3]}:\n\n    {f' {arrow} '.join(places)}\n\n"
        f"Begin at the {places[0]}. At the {places[1]}, {turns[0]}. If the path is closed, {turns[1]}; else {turns[2]}. "
        f"Continue until you see the {places[2]}. Do not turn back while the light is red! "
        f"The length of the way is {rng.randint(2, 9)}.{rng.randint(1, 9)} km (+/- {rng.randint(10, 90)} m). "
        f'{person.name} says: "{sentence_case(places[1])} => {places[2]} is the best step." {other.name}\'s way is the reverse: '
        f"{f' {arrow} '.join(reversed(places))}."
    )


def table(rng: random.Random) -> str:
    """A small table between bars, and a remark on it."""
    names = rng.sample(NAMES, rng.randint(3, 5))
    counts = rng.sample(range(2, 30), len(names))
    things = rng.choice(list(THINGS.values()))
    lines = [
        f"| name | {things} |",
        "|------|------|",
        *[f"| {name} | {count} |" for name, count in zip(names, counts, strict=True)],
    ]
    best = names[counts.index(max(counts))]
    last = names[counts.index(min(counts))]
    remark = (
        f"The max is {max(counts)} ({best}), the min is {min(counts)} ({last}). "
        f"The sum of the values is {' + '.join(map(str, counts))} = {sum(counts)}, "
        f"and the range is {max(counts)} - {min(counts)} = {max(counts) - min(counts)}."
    )
    return "\n".join([*lines, "", remark])


def weather(rng: random.Random) -> str:
    """A weather note."""
    lines = [f"Weather for {rng.choice(MONTHS)} {rng.randint(1, 28)}:"]
    for day in rng.sample(DAYS, rng.randint(3, 5)):
        low = rng.randint(0, 15)
        sky = rng.choice(("rain", "snow", "sun", "wind", "rain & wind", "sun/rain"))
        lines.append(f"{day}: {sky}, low {low}, high {low + rng.randint(2, 12)}; rain {rng.choice(range(0, 101, 10))}%")
    lines.append(
        f"Over the week, {rng.choice(('<', '>'))} {rng.randint(2, 9)} hours of sun. Error: +/- 1. Values are for the {rng.choice(PLACES)}."
    )
    return "\n".join(lines)


def rules(rng: random.Random) -> str:
    """The rules of a little game."""
    count, goal = rng.randint(2, 6), rng.choice((10, 20, 30))
    lines = rng.sample(
        [
            f"Each player begins with {count} cards and an empty list of points.",
            "If you draw an even number, move that many steps; if it is odd, move one step back.",
            "While your card is the largest, you may draw again.",
            "When two cards match, swap them: first <-> last.",
            "For each pair (a, a) you get 2 points; for each row a, b, c you get 3.",
            "A null card has the value 0. A wild card has any value: * = 1, 2, 3...",
            f"The first player whose sum is {goal} or more wins; on {goal} != {goal} + 1 no one wins.",
            "You can not use the same card twice, unless all other cards are void.",
            "Try to collect all the cards of one type or class.",
            "Push the stack of cards to the left, take the top one and pop it on the table.",
            "Else, break off the game and reverse the order of the players.",
        ],
        rng.randint(5, 8),
    )
    numbered = "\n".join(f"{number}) {line}" for number, line in enumerate(lines, 1))
    return f"The game of {rng.choice(list(THINGS.values()))}\n\n{numbered}"
