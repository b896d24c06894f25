import json
import random
import re

import pytest

from codingspot.errors import EvaluationError
from codingspot.testbed.english import (
    FAMILIES,
    MIXTURE,
    arithmetic,
    english_document,
    events,
    items,
    knowledge,
    misconceptions,
    roles,
)
from codingspot.testbed.english.beliefs import BELIEFS
from codingspot.testbed.english.facts import RELATIONS
from codingspot.testbed.english.items import is_held_out, shuffled

CHOICE_FIELDS = {"events": "endings", "knowledge": "choices", "misconceptions": "choices"}


@pytest.fixture(scope="module")
def documents() -> list[str]:
    rng = random.Random(11)
    return [english_document(rng) for _ in range(8000)]


def solved(family: str, item: dict) -> str:
    """The evaluated text of an item, as training text would show it."""
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
    if family == "roles":
        beginnings, rest = roles.parts(roles.RolesItem(**fields))
        return beginnings[int(item["answer"]) - 1] + rest
    if family == "arithmetic":
        return arithmetic.prompt(arithmetic.ArithmeticItem(**fields))
    if family == "events":
        built = events.EventsItem(**fields)
        return f"{events.prompt(built)} {built.endings[built.label]}"
    if family == "knowledge":
        return knowledge.prompt(knowledge.KnowledgeItem(**fields))
    return misconceptions.prompt(misconceptions.MisconceptionsItem(**fields))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_held_out_item_is_in_training_text(family: str, documents: list[str]) -> None:
    text = "\n\n".join(documents)
    assert not [item["key"] for item in items(family, 300, seed=0) if solved(family, item) in text]


def test_arithmetic_training_text_holds_no_held_out_numbers(documents: list[str]) -> None:
    def skeleton(question: str) -> str:
        """The question without who and what, which are free fillers."""
        return re.sub(
            r"\b[A-Z][a-z]+\b|\b(apples|books|stones|eggs|coins|cards|pens|shells|balls|flowers|cakes|pears|she|he)\b",
            "_",
            question,
        )

    held_out = {skeleton(item["question"]) for item in items("arithmetic", 300, seed=0)}
    asked = {
        skeleton(question) for document in documents for question in re.findall(r"Question: (.*)\nAnswer: \d", document)
    }
    assert len(asked) > 1000
    assert not asked & held_out


@pytest.mark.parametrize("family", FAMILIES)
def test_sample_keeps_the_split(family: str) -> None:
    rng = random.Random(5)
    for held_out in (False, True):
        for _ in range(50):
            key = FAMILIES[family].sample(rng, held_out).key
            split_key = key.rsplit("|", 1)[0] if family in ("events", "roles") else key
            assert is_held_out(split_key) == held_out


def test_arithmetic_answers_are_right() -> None:
    for item in items("arithmetic", 300, seed=3):
        *equations, final = item["answer"].split("\n")
        values = []
        for equation in equations:
            left, operator, right, result = re.fullmatch(r"(\d+) ([-+*]) (\d+) = (\d+)", equation).groups()
            values.append(
                {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[operator]
            )
            assert values[-1] == int(result) <= arithmetic.RESULT_LIMIT
        assert final == f"#### {values[-1]}"


def test_a_worked_problem_by_hand() -> None:
    template = arithmetic.TEMPLATES["together"]
    assert arithmetic.steps_of(template, (5, 3)) == [(5, "+", 3, 8), (5, "+", 8, 13)]


@pytest.mark.parametrize("family", CHOICE_FIELDS)
def test_choices_are_four_distinct_and_labels_balanced(family: str) -> None:
    drawn = items(family, 400, seed=1)
    assert all(len(set(item[CHOICE_FIELDS[family]])) == 4 for item in drawn)
    counts = [sum(item["label"] == label for item in drawn) for label in range(4)]
    assert sum(counts) == 400
    assert min(counts) >= 70


def test_knowledge_labels_hold_in_the_world_and_no_other_choice_does() -> None:
    for item in items("knowledge", 300, seed=2):
        _, relation, x, phrasing, _ = item["key"].split("|")
        facts = RELATIONS[relation]
        assert item["question"] == facts.questions[int(phrasing)].format(x=x)
        assert [choice == facts.facts[x] for choice in item["choices"]].index(True) == item["label"]


def test_knowledge_has_at_least_five_subjects() -> None:
    assert len({item["subject"] for item in items("knowledge", 300, seed=2)}) >= 5


def test_misconceptions_have_one_truth_and_the_tempting_belief() -> None:
    truths = {belief.truth.lower() + "." for belief in BELIEFS}
    myths = {belief.topic: belief.myth.lower() + "." for belief in BELIEFS}
    for item in items("misconceptions", 200, seed=2):
        lowered = [choice.lower() for choice in item["choices"]]
        assert [choice in truths for choice in lowered].count(True) == 1
        assert lowered[item["label"]] in truths
        assert myths[item["key"].split("|")[1]] in lowered


def test_role_twins_differ_in_one_word_and_flip_the_answer() -> None:
    found: dict[str, list[dict]] = {}
    for item in items("roles", 1000, seed=4):
        found.setdefault(item["key"].rsplit("|", 1)[0], []).append(item)
    twins = [pair for pair in found.values() if len(pair) == 2]
    assert twins
    for first, second in twins:
        words = [(a, b) for a, b in zip(first["sentence"].split(), second["sentence"].split(), strict=True) if a != b]
        assert len(words) == 1
        right = [item["option1"] if item["answer"] == "1" else item["option2"] for item in (first, second)]
        assert right[0] != right[1]


def test_role_answers_are_balanced() -> None:
    answers = [item["answer"] for item in items("roles", 400, seed=1)]
    assert 150 <= answers.count("1") <= 250


def test_right_ending_is_the_next_step_of_the_script() -> None:
    rng = random.Random(0)
    for _ in range(100):
        item = events.sample(rng, held_out=True)
        script, _, thing, place, cut = item.key.split("|")[1:]
        steps = events.SCRIPTS[script].steps
        person = next(person for person in events.PEOPLE if person.name == item.key.split("|")[2])
        assert item.endings[item.label] == steps[int(cut)].format(**person.slots(), o=thing, p=place)


@pytest.mark.parametrize("family", FAMILIES)
def test_items_are_distinct_deterministic_and_json_ready(family: str) -> None:
    first, again, other = (items(family, 100, seed=seed) for seed in (7, 7, 8))
    assert first == again != other
    assert len({item["key"] for item in first}) == 100
    assert len(json.dumps(first)) > 1000


def test_items_refuses_unknown_family_and_too_many() -> None:
    with pytest.raises(EvaluationError, match="no task family 'poetry'"):
        items("poetry", 1, seed=0)
    with pytest.raises(EvaluationError, match="fewer than 2000"):
        items("arithmetic", 2000, seed=0)


def test_documents_are_ascii_short_and_of_a_bounded_lexicon(documents: list[str]) -> None:
    assert all(document.isascii() and document == document.strip() for document in documents)
    lengths = [len(document.split()) for document in documents]
    assert min(lengths) >= 20
    assert max(lengths) <= 250
    assert 700 <= len(set(re.findall(r"[a-z]+", "\n".join(documents).lower()))) <= 1600


def test_documents_are_deterministic() -> None:
    assert [english_document(random.Random(seed)) for seed in range(20)] == [
        english_document(random.Random(seed)) for seed in range(20)
    ]


def test_mixture_sums_to_one() -> None:
    assert sum(MIXTURE.values()) == pytest.approx(1)


def test_shuffled_reports_the_place_of_the_right_choice() -> None:
    choices, label = shuffled(random.Random(0), "right", ["a", "b", "c"])
    assert choices[label] == "right"
    assert sorted(choices) == ["a", "b", "c", "right"]
