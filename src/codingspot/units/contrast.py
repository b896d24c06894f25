"""One key a unit from its scores on several domains: how much more it does on code than on general text."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

Contrast = Literal["ratio", "share", "difference", "none"]
"""With c the score on code, g that on general text, m_c and m_g their means over the scope, and s the smoothing:
(c + s m_c) / (g + s m_g); c / (c + g + s (m_c + m_g)); c - g; or c alone."""
Normalise = Literal["domain", "none"]
"""``domain``: every domain's scores are divided by the mean of their magnitudes over the scope, so that domains count
alike."""
Languages = Literal["mean", "least", "largest"]
"""How the scores of several languages become one."""
General = Literal["largest", "mean"]
"""How the scores of several general domains become one."""

Scores = Float64[Tensor, "domains units"]


def normalised(scores: Scores, how: Normalise, inside: Bool[Tensor, " units"]) -> Scores:
    """Scores of each domain on one scale; see :data:`Normalise`."""
    if how == "none" or not len(scores):
        return scores
    means = scores[:, inside].abs().mean(1, keepdim=True)
    return scores / torch.where(means > 0, means, torch.ones_like(means))


def together(scores: Scores, how: Languages | General) -> Float64[Tensor, " units"]:
    """The scores of several domains as one; see :data:`Languages`."""
    return {"mean": scores.mean(0), "least": scores.amin(0), "largest": scores.amax(0)}[how]


def contrasted(
    code: Float64[Tensor, " units"],
    general: Float64[Tensor, " units"],
    contrast: Contrast,
    smoothing: float,
    inside: Bool[Tensor, " units"],
) -> Float64[Tensor, " units"]:
    """The keys; see :data:`Contrast`. A unit that does nothing on either kind of text has a ratio of 0."""
    if contrast == "none":
        return code
    if contrast == "difference":
        return code - general
    code_mean, general_mean = (smoothing * each[inside].mean() for each in (code, general))
    if contrast == "share":
        return (code / (code + general + code_mean + general_mean)).nan_to_num(nan=0.0)
    keys = (code + code_mean) / (general + general_mean)
    return keys.nan_to_num(nan=0.0, posinf=torch.inf)
