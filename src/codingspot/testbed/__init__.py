"""The testbed: a small polyglot world, its tasks, and models that learned it."""
