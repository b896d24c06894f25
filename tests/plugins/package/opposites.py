"""A task: one file, registered, and named by an entry point."""

from codingspot.evaluation.declared import TASKS

PAIRS = (("hot", "cold"), ("up", "down"), ("big", "small"), ("old", "new"))


@TASKS.register("opposites", label="opposites in English")
def opposites():
    """Which word is the opposite?"""
    words = [word for pair in PAIRS for word in pair]
    return {
        "rows": [{"word": a, "choices": [b, *(w for w in words if w not in (a, b))][:3]} for a, b in PAIRS],
        "output_type": "multiple_choice",
        "num_fewshot": 0,
        "doc_to_text": "The opposite of {{word}} is",
        "doc_to_choice": "choices",
        "doc_to_target": 0,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
