"""Large tensors worked on part by part."""

from __future__ import annotations

import torch

from codingspot.models.parts import parts


def test_parts_are_views_side_by_side_and_cover_everything():
    total, new = torch.zeros(3, 1_000_001), torch.ones(3_000_003, dtype=torch.bfloat16)
    sizes = [len(part.add_(of_new)) for part, of_new in parts(total, new)]
    assert bool((total == 1).all())
    assert sum(sizes) == total.numel()
    assert max(sizes) < total.numel()


def test_a_tensor_without_elements_has_one_part_without_elements():
    assert [len(part) for (part,) in parts(torch.zeros(0, 4))] == [0]
