"""Learned masks: a spot found by training which weights to remove, the weights themselves frozen."""

from codingspot.learning.mask import LearnedMask, LearnSettings, learn_mask, learning_memory

__all__ = ["LearnSettings", "LearnedMask", "learn_mask", "learning_memory"]
