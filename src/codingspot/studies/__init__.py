"""Study files that ship with the package, to run or to copy."""

from pathlib import Path

DEMO = Path(__file__).parent / "demo.yaml"
"""The demo: the testbed model, the paper's recipe with its controls, and the contrast with English."""
