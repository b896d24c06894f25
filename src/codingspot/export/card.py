"""Model cards: what was done to a checkpoint, what is known of its effect, and how it is undone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from codingspot.escaping import visible
from codingspot.export.evidence import Evidence

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FOUND = {
    "recipe": "recipe",
    "scope": "scope",
    "languages": "languages",
    "general": "general text",
    "estimator": "estimator",
    "corpus": "corpus",
    "k_percent": "largest k in percent",
    "control": "control",
    "combination": "combination",
}
"""What a spot's metadata say of how it was found, and its name on a card."""


def edited_card(record: Mapping[str, Any], evidence: Evidence | None, *, undone: bool) -> str:
    """The card of a checkpoint with a spot edited."""
    model, count, total = record["model"]["id"], record["parameters"]["selected"], record["parameters"]["all"]
    settings = {key: value for key, value in record["edit"].items() if key != "name"}
    how = _code(record["edit"]["name"]) + (f" with {_plain(settings)}" if settings else "")
    done = (
        f"Of {_code(model)}, {count:,} of {total:,} parameters ({100 * count / total:.3g}%), a *spot*, were edited by "
        f"{how}, which changed {record['changed']:,} numbers. Every other one is that of the original, to the byte."
    )
    undo = (
        "`undo.safetensors` holds the original values of what was changed, and their places in each tensor. "
        "`codingspot export undo THIS_FOLDER --out RESTORED` writes the original files and checks their SHA-256."
        if undone
        else f"Load {_code(model)}: what was changed isn't kept here."
    )
    return _card(model, "edited", "What was changed", done, record, evidence, undo)


def reduced_card(record: Mapping[str, Any], kind: str, said: Iterable[str]) -> str:
    """The card of a checkpoint that weights were removed from: what ``kind`` it now is, and what is ``said`` of it."""
    name = record["model"]["id"]
    undo = f"Load {_code(name)}: what was removed isn't kept here."
    return _card(name, kind, "What was removed", " ".join(said), record, None, undo)


def _card(
    model: str, kind: str, title: str, done: str, record: Mapping[str, Any], evidence: Evidence | None, undo: str
) -> str:
    hub_id = model.partition("@")[0]
    base = [f"base_model: {hub_id}"] if _HUB_ID.fullmatch(hub_id) and not Path(model).exists() else []
    front = ["---", "library_name: transformers", "pipeline_tag: text-generation", *base, "tags:", "- codingspot"]
    spot = record["spot"]
    found = [f"- {name}: {_plain(spot[key])}" for key, name in _FOUND.items() if spot.get(key) is not None]
    tried = (
        "No run tried this spot when it was exported: what the edit does to the model is not known. "
        "`codingspot run` tries a spot beside matched random ones."
        if evidence is None
        else f"{_text(evidence.verdict)}\n\n{evidence.table}"
    )
    parts = {
        title: done,
        "How it was found": "\n".join(found) or "By hand: it says nothing of how it was found.",
        "Evidence": tried,
        "Limits": (
            "A spot is a set of weights, not the one place of an ability: other weights may do the same, and what was "
            "removed may be learned again in a few steps of fine-tuning. It was found on some text, with these "
            "weights; other languages, tasks and prompts may be affected otherwise. It is no safety measure."
        ),
        "Intended use": "Research on where abilities lie in a language model, and on editing them.",
        "How to undo it": undo,
        "Provenance": "`provenance.json` says all of the above for programs, with the versions of the libraries.",
    }
    body = [f"# {_text(model.rpartition('/')[2])}, {kind} by codingspot"]
    if not record["parameters"]["selected"]:  # of no spot
        parts = {heading: parts[heading] for heading in (title, "How to undo it", "Provenance")}
    body += [f"## {heading}\n\n{text}" for heading, text in parts.items()]
    return "\n".join([*front, "---", ""]) + "\n" + "\n\n".join(body) + "\n"


def _plain(value: Any) -> str:
    """A value of the metadata in one line."""
    if isinstance(value, dict):
        name = value.get("name", "")
        rest = ", ".join(f"{k} {_plain(v)}" for k, v in value.items() if k not in ("name", "fingerprint"))
        return f"{_text(str(name))} ({rest})" if name and rest else _text(str(name)) or rest
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return _text(value if isinstance(value, str) else json.dumps(value))


def _text(text: str) -> str:
    """Text from outside as Markdown shows it: in one line, nothing of it markup."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(visible(text).split()))


def _code(text: str) -> str:
    return "`" + " ".join(visible(text).split()).replace("`", "'") + "`"
