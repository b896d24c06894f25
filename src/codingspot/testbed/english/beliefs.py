# ruff: noqa: E501 (a sentence is kept on one line, as it is read)
"""Common false beliefs, each with the truth about its topic."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Belief:
    """A topic, the truth about it, the false belief, and two things nobody believes. Sentences without full stops."""

    topic: str
    truth: str
    myth: str
    others: tuple[str, str]


def _belief(topic: str, truth: str, myth: str, *others: str) -> Belief:
    return Belief(topic, truth, myth, (others[0], others[1]))


BELIEFS = (
    _belief("bats", "bats can see", "bats are blind", "bats have no ears", "bats are made of stone"),
    _belief(
        "goldfish",
        "goldfish remember for months",
        "goldfish forget in three seconds",
        "goldfish can read",
        "goldfish live in trees",
    ),
    _belief(
        "bulls",
        "bulls get angry when things move",
        "bulls get angry at red",
        "bulls eat fish",
        "bulls can fly",
    ),
    _belief(
        "the ostrich",
        "the ostrich runs from danger",
        "the ostrich hides its head in the sand",
        "the ostrich sings at night",
        "the ostrich lives in the sea",
    ),
    _belief(
        "lightning",
        "lightning can strike a place twice",
        "lightning never strikes a place twice",
        "lightning is cold",
        "lightning is made of water",
    ),
    _belief(
        "gum",
        "gum leaves the body in some days",
        "gum stays in the stomach for seven years",
        "gum turns into gold",
        "gum makes you fly",
    ),
    _belief(
        "the brain",
        "we use all of the brain",
        "we use ten percent of the brain",
        "the brain is empty",
        "the brain is in the foot",
    ),
    _belief(
        "the Great Wall",
        "the Great Wall can not be seen from the moon",
        "the Great Wall can be seen from the moon",
        "the Great Wall is in France",
        "the Great Wall is made of glass",
    ),
    _belief(
        "sugar",
        "sugar does not make children wild",
        "sugar makes children wild",
        "sugar makes children green",
        "sugar comes from fish",
    ),
    _belief(
        "camels",
        "camels keep fat in the hump",
        "camels keep water in the hump",
        "camels keep coins in the hump",
        "camels have five legs",
    ),
    _belief(
        "carrots",
        "carrots do not help you see at night",
        "carrots help you see at night",
        "carrots help you fly",
        "carrots are animals",
    ),
    _belief(
        "hair",
        "hair grows the same after a cut",
        "hair grows thicker after a cut",
        "hair stops for ever after a cut",
        "hair turns blue after a cut",
    ),
    _belief(
        "toads",
        "toads do not give you warts",
        "toads give you warts",
        "toads give you money",
        "toads give milk",
    ),
    _belief("the sun", "the sun is white", "the sun is yellow", "the sun is black", "the sun is green"),
    _belief(
        "the seasons",
        "summer comes because the earth leans",
        "summer comes because the earth is near the sun",
        "summer comes because birds sing",
        "summer comes because of the moon",
    ),
    _belief(
        "blood",
        "blood is always red",
        "blood in the body is blue",
        "blood is made of milk",
        "blood is white at night",
    ),
    _belief(
        "Vikings",
        "Vikings had plain helmets",
        "Vikings had helmets with horns",
        "Vikings had telephones",
        "Vikings lived in China",
    ),
    _belief(
        "Einstein",
        "Einstein was good at school sums",
        "Einstein failed at school sums",
        "Einstein was a king",
        "Einstein could not talk",
    ),
    _belief(
        "Napoleon",
        "Napoleon was not short",
        "Napoleon was very short",
        "Napoleon was a woman",
        "Napoleon was three meters tall",
    ),
    _belief(
        "Columbus",
        "people knew the earth was round before Columbus",
        "people thought the earth was flat before Columbus",
        "Columbus walked to America",
        "Columbus flew to the moon",
    ),
    _belief("glass", "glass is solid", "glass is a slow liquid", "glass is a gas", "glass is a plant"),
    _belief(
        "coins from a tower",
        "a coin from a tower only hurts a little",
        "a coin from a tower can kill a man",
        "a coin from a tower flies up",
        "a coin from a tower sings",
    ),
    _belief(
        "cold weather",
        "a cold comes from germs",
        "a cold comes from cold weather",
        "a cold comes from books",
        "a cold comes from the moon",
    ),
    _belief(
        "cracking fingers",
        "cracking fingers is safe",
        "cracking fingers makes them ill",
        "cracking fingers makes them longer",
        "cracking fingers makes them blue",
    ),
    _belief(
        "swimming after lunch",
        "you can swim after lunch",
        "you must wait an hour to swim after lunch",
        "you turn into a fish after lunch",
        "you can not walk after lunch",
    ),
    _belief(
        "dogs",
        "dogs see blue and yellow",
        "dogs see only black and white",
        "dogs see only numbers",
        "dogs see with the tail",
    ),
    _belief(
        "mice",
        "mice like seeds best",
        "mice like cheese best",
        "mice like stones best",
        "mice like cats best",
    ),
    _belief(
        "owls",
        "owls turn the head part of the way",
        "owls turn the head all the way around",
        "owls have no head",
        "owls have two heads",
    ),
    _belief(
        "sharks",
        "sharks can get ill",
        "sharks never get ill",
        "sharks eat only grass",
        "sharks live in the desert",
    ),
    _belief(
        "spiders",
        "we do not eat spiders in our sleep",
        "we eat eight spiders a year in our sleep",
        "spiders eat us in our sleep",
        "spiders sing in our sleep",
    ),
    _belief(
        "the moon",
        "the far side of the moon gets light",
        "the far side of the moon is always dark",
        "the moon is made of cheese",
        "the moon is a big lamp",
    ),
    _belief(
        "bananas",
        "bananas grow on a big herb",
        "bananas grow on trees",
        "bananas grow under water",
        "bananas grow in shops",
    ),
    _belief(
        "the desert",
        "the largest desert is cold",
        "the largest desert is hot",
        "the largest desert is under the sea",
        "the largest desert is in a park",
    ),
    _belief(
        "diamonds",
        "diamonds are not made from coal",
        "diamonds are made from coal",
        "diamonds are made from bread",
        "diamonds are made from ice",
    ),
    _belief(
        "a snake", "a snake can hear", "a snake can not hear", "a snake can write", "a snake has ten legs"
    ),
    _belief(
        "chameleons",
        "chameleons change color with their feelings",
        "chameleons change color to hide",
        "chameleons change color to sing",
        "chameleons are always pink",
    ),
    _belief(
        "wolves",
        "wolves howl to call other wolves",
        "wolves howl at the moon",
        "wolves howl at the numbers",
        "wolves howl to make rain",
    ),
    _belief(
        "the tongue",
        "every part of the tongue tastes sweet",
        "only the end of the tongue tastes sweet",
        "the tongue tastes only green",
        "the tongue can hear",
    ),
    _belief(
        "baby birds",
        "a bird takes back a chick you touch",
        "a bird leaves a chick you touch",
        "a bird eats a chick you touch",
        "a bird paints a chick you touch",
    ),
    _belief(
        "plants",
        "plants in the room are safe at night",
        "plants in the room take the air at night",
        "plants walk at night",
        "plants read at night",
    ),
    _belief(
        "microwaves",
        "a microwave heats water in the food",
        "a microwave cooks from the inside out",
        "a microwave cools the food",
        "a microwave paints the food",
    ),
    _belief(
        "salt",
        "salt hardly makes water boil later",
        "salt makes water boil much sooner",
        "salt makes water burn",
        "salt turns water into tea",
    ),
    _belief(
        "the pyramids",
        "paid workers built the pyramids",
        "slaves built the pyramids",
        "fish built the pyramids",
        "children built the pyramids last year",
    ),
    _belief(
        "Newton",
        "no apple hit Newton on the head",
        "an apple hit Newton on the head",
        "a house hit Newton on the head",
        "Newton lived in an apple",
    ),
    _belief(
        "Edison",
        "others had light bulbs before Edison",
        "nobody had light bulbs before Edison",
        "Edison was a light bulb",
        "Edison made the sun",
    ),
    _belief(
        "penguins",
        "penguins live in the south",
        "penguins live with white bears",
        "penguins live on the moon",
        "penguins live in the fire",
    ),
    _belief(
        "elephants",
        "elephants die in many places",
        "elephants all go to one place to die",
        "elephants never die",
        "elephants die when they see a mouse",
    ),
    _belief(
        "water",
        "pure water hardly carries electric power",
        "pure water carries electric power well",
        "pure water is red",
        "pure water is dry",
    ),
)
