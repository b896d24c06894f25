"""The shared lexicon of the English side: people, things and places that every kind of text draws from."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """A first name with its pronouns, so that sentences agree."""

    name: str
    she: str
    her: str
    own: str

    def slots(self) -> dict[str, str]:
        """Fillers for templates: name, she, She, her (object), own (possessive)."""
        return {
            "name": self.name,
            "she": self.she,
            "She": self.she.capitalize(),
            "her": self.her,
            "own": self.own,
        }


WOMEN = ("Anna", "Clara", "Emma", "Grace", "Ida", "Kate", "Maria", "Nora", "Olga", "Rosa", "Vera", "Zoe")
MEN = ("Ben", "David", "Finn", "Henry", "Jack", "Leo", "Max", "Noah", "Paul", "Sam", "Tom", "Hugo")
PEOPLE = tuple(
    [Person(name, "she", "her", "her") for name in WOMEN] + [Person(name, "he", "him", "his") for name in MEN]
)
NAMES = WOMEN + MEN

# Singular and plural of things one can own, count, buy and sort.
THINGS = {
    "apple": "apples",
    "book": "books",
    "stone": "stones",
    "egg": "eggs",
    "coin": "coins",
    "card": "cards",
    "pen": "pens",
    "shell": "shells",
    "ball": "balls",
    "flower": "flowers",
    "cake": "cakes",
    "pear": "pears",
}
FOODS = (
    "bread",
    "milk",
    "cheese",
    "rice",
    "butter",
    "soup",
    "honey",
    "sugar",
    "tea",
    "salt",
    "flour",
    "cream",
)
FRUITS = ("apple", "pear", "plum", "lemon", "banana", "cherry", "melon", "orange")
ANIMALS = ("dog", "cat", "horse", "cow", "bird", "fish", "duck", "goat", "fox", "owl", "mouse", "rabbit")
PLACES = (
    "river",
    "lake",
    "market",
    "school",
    "garden",
    "forest",
    "bridge",
    "station",
    "library",
    "farm",
    "hill",
    "park",
)
COLORS = ("red", "blue", "green", "yellow", "white", "black", "brown", "grey")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
STREETS = (
    "River Street",
    "Park Road",
    "Hill Street",
    "Station Road",
    "Garden Lane",
    "Bridge Lane",
    "Lake Road",
)
SURNAMES = ("Miller", "Stone", "Rivers", "Fox", "Green", "Hill", "Brown", "Wood")
NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


def two_people(rng: random.Random) -> tuple[Person, Person]:
    """Two different people."""
    first, second = rng.sample(PEOPLE, 2)
    return first, second


def with_article(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def join_and(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence_case(text: str) -> str:
    """The text with its first letter made a capital."""
    return text[0].upper() + text[1:]
