# ruff: noqa: E501 (a sentence is kept on one line, as it is read)
"""Facts of the little world, by relation: a question's subject, its phrasings, and the pairs for which it holds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """A many-to-one relation from `x` to `y`: how it is asked (``{x}``), how it is stated, and its pairs."""

    subject: str
    questions: tuple[str, ...]
    statements: tuple[str, ...]
    facts: dict[str, str]


def _pairs(text: str) -> dict[str, str]:
    return dict(tuple(pair.strip().split(": ")) for pair in text.split(","))  # type: ignore[misc]


RELATIONS = {
    "capital": Relation(
        "geography",
        (
            "What is the capital of {x}?",
            "Which city is the capital of {x}?",
            "In which city does {x} have its capital?",
        ),
        ("The capital of {x} is {y}.", "{y} is the capital of {x}."),
        _pairs(
            "France: Paris, Italy: Rome, Spain: Madrid, Germany: Berlin, Japan: Tokyo, China: Beijing, Egypt: Cairo,"
            "Russia: Moscow, Greece: Athens, Norway: Oslo, Poland: Warsaw, Peru: Lima, Cuba: Havana, Austria: Vienna,"
            "Hungary: Budapest, Ireland: Dublin, Portugal: Lisbon, England: London, Denmark: Copenhagen, Sweden: Stockholm"
        ),
    ),
    "young": Relation(
        "animals",
        (
            "What is a young {x} called?",
            "What do we call the young of the {x}?",
            "Which word means a young {x}?",
        ),
        ("A young {x} is called a {y}.", "A {y} is a young {x}."),
        _pairs(
            "dog: puppy, cat: kitten, cow: calf, sheep: lamb, horse: foal, goat: kid, lion: cub, frog: tadpole,"
            "duck: duckling, goose: gosling, kangaroo: joey, swan: cygnet, deer: fawn, pig: piglet"
        ),
    ),
    "home": Relation(
        "animals",
        ("Where does a {x} live?", "What is the home of a {x}?", "In which place does a {x} sleep?"),
        ("A {x} lives in a {y}.", "The home of a {x} is a {y}."),
        _pairs(
            "bee: hive, bird: nest, spider: web, lion: den, rabbit: burrow, pig: sty, shark: sea, bat: cave, beaver: lodge"
        ),
    ),
    "measure": Relation(
        "science",
        ("What does a {x} measure?", "What can we measure with a {x}?", "What is a {x} used to measure?"),
        ("A {x} measures {y}.", "We measure {y} with a {x}."),
        _pairs(
            "thermometer: heat, clock: time, ruler: length, scale: weight, compass: direction, barometer: air pressure,"
            "speedometer: speed"
        ),
    ),
    "organ": Relation(
        "science",
        ("What do we do with the {x}?", "What is the {x} used for?", "What work does the {x} do?"),
        ("With the {x} we {y}.", "The {x} is there to {y}."),
        _pairs(
            "heart: pump blood, nose: smell, tongue: taste, brain: think, skin: feel, stomach: digest food,"
            "eye: see, ear: hear, lung: breathe, leg: walk"
        ),
    ),
    "planet": Relation(
        "science",
        (
            "Which planet is number {x} from the sun?",
            "Which planet comes at place {x} from the sun?",
            "What is planet {x} from the sun?",
        ),
        ("Planet number {x} from the sun is {y}.", "{y} is planet number {x} from the sun."),
        _pairs("1: Mercury, 2: Venus, 3: Earth, 4: Mars, 5: Jupiter, 6: Saturn, 7: Uranus, 8: Neptune"),
    ),
    "who": Relation(
        "history",
        ("Who {x}?", "Which person {x}?", "What is the name of the person who {x}?"),
        ("{y} {x}.", "The person who {x} was {y}."),
        _pairs(
            "sailed to America in 1492: Columbus, made the light bulb: Edison, made the first telephone call: Bell,"
            "built the printing press: Gutenberg, wrote Hamlet: Shakespeare, painted the Mona Lisa: Leonardo,"
            "was the first president of America: Washington, first walked on the moon: Armstrong,"
            "found radium: Curie, was the last queen of old Egypt: Cleopatra, lost the battle of Waterloo: Napoleon,"
            "wrote about the fall of an apple: Newton, wrote about how animals change: Darwin,"
            "was the first to fly around the earth in space: Gagarin, wrote The Magic Flute: Mozart,"
            "first saw the moons of Jupiter: Galileo, wrote the Ninth Symphony in Vienna: Beethoven,"
            "told Europe about his travels in China: Marco Polo, led India to be free: Gandhi, killed Caesar: Brutus"
        ),
    ),
    "made": Relation(
        "food",
        (
            "What is {x} made from?",
            "From what do people make {x}?",
            "What does a cook need first to make {x}?",
        ),
        ("{x} is made from {y}.", "People make {x} from {y}."),
        _pairs(
            "bread: flour, cheese: milk, wine: grapes, chocolate: cocoa beans, butter: cream, cider: apples, ketchup: tomatoes,"
            "omelette: eggs, tofu: soy beans, jam: fruit, honey: nectar, sushi: rice, popcorn: corn, vodka: potatoes,"
            "tahini: sesame, marzipan: almonds"
        ),
    ),
    "after": Relation(
        "calendar",
        (
            "Which month comes after {x}?",
            "What is the month after {x}?",
            "When {x} ends, which month begins?",
        ),
        ("After {x} comes {y}.", "The month after {x} is {y}."),
        _pairs(
            "January: February, February: March, March: April, April: May, May: June, June: July, July: August,"
            "August: September, September: October, October: November, November: December, December: January"
        ),
    ),
    "day_after": Relation(
        "calendar",
        (
            "Which day comes after {x}?",
            "What is the day after {x}?",
            "If today is {x}, what day is tomorrow?",
        ),
        ("After {x} comes {y}.", "The day after {x} is {y}."),
        _pairs(
            "Monday: Tuesday, Tuesday: Wednesday, Wednesday: Thursday, Thursday: Friday, Friday: Saturday, Saturday: Sunday,"
            "Sunday: Monday"
        ),
    ),
    "opposite": Relation(
        "language",
        (
            'What is the opposite of "{x}"?',
            'Which word means the opposite of "{x}"?',
            'If it is not "{x}", it is what?',
        ),
        ('The opposite of "{x}" is "{y}".', '"{y}" is the opposite of "{x}".'),
        _pairs(
            "hot: cold, big: small, upper: lower, first: last, even: odd, true: false, open: closed, high: low, old: new,"
            "long: short, fast: slow, full: empty, light: dark, strong: weak, early: late, push: pull, add: subtract,"
            "rich: poor, wet: dry, left: right"
        ),
    ),
}
