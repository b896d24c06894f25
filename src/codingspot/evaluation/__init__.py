"""Evaluation: tasks, perplexity, metrics and their intervals, for a model whose weights are edited in place."""
