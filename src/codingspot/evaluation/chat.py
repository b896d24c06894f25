"""Conversations as text, by the tokenizer's own template."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from codingspot.errors import EvaluationError


def render_chat(
    tokenizer: PreTrainedTokenizerBase, history: list[dict[str, str]], add_generation_prompt: bool = True
) -> str:
    """One text from a conversation.

    Args:
        tokenizer: whose chat template is applied.
        history: messages with ``role`` and ``content``.
        add_generation_prompt: open the assistant's next message; otherwise the last message is left to be continued.

    Raises:
        EvaluationError: the tokenizer has no chat template.
    """
    if tokenizer.chat_template is None:
        raise EvaluationError(
            f"the tokenizer {tokenizer.name_or_path} has no chat template; set chat_template to false, "
            "or take the model's instruction-tuned version"
        )
    return str(
        tokenizer.apply_chat_template(
            history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
    )
