"""Running generated programs, each in isolation, with one verdict for each."""

from codingspot.sandbox.inside.model import Limits, Outcome, Program, Verdict
from codingspot.sandbox.sandbox import Sandbox, available

__all__ = ["Limits", "Outcome", "Program", "Sandbox", "Verdict", "available"]
