"""Small programs for the testbed: an abstract form, its renderings in eleven languages, and benchmarks."""

from codingspot.testbed.programs.calls import call_example, call_session, comprehension_items
from codingspot.testbed.programs.engine import (
    body,
    function_name,
    prompt,
    render,
    render_documented,
    render_one_line,
)
from codingspot.testbed.programs.language import Language
from codingspot.testbed.programs.languages import LANGUAGES
from codingspot.testbed.programs.operations import OPERATIONS, Operation, Program, Step
from codingspot.testbed.programs.problems import bash_problems, javascript_problems, python_problems
from codingspot.testbed.programs.sampling import (
    is_held_out,
    is_held_out_call,
    sample_input,
    sample_name,
    sample_program,
)
from codingspot.testbed.programs.translation import translation_passage

__all__ = [
    "LANGUAGES",
    "OPERATIONS",
    "Language",
    "Operation",
    "Program",
    "Step",
    "bash_problems",
    "body",
    "call_example",
    "call_session",
    "comprehension_items",
    "function_name",
    "is_held_out",
    "is_held_out_call",
    "javascript_problems",
    "prompt",
    "python_problems",
    "render",
    "render_documented",
    "render_one_line",
    "sample_input",
    "sample_name",
    "sample_program",
    "translation_passage",
]
