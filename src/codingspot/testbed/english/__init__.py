"""The English side of the testbed: general text, and five families of tasks like the benchmarks."""

from codingspot.testbed.english.families import FAMILIES, MIXTURE, Family, english_document, items
from codingspot.testbed.english.general import general_text

__all__ = ["FAMILIES", "MIXTURE", "Family", "english_document", "general_text", "items"]
