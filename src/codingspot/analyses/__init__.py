"""The analyses of a study: one file each, found here by its name, or by the entry points of installed packages.

:mod:`codingspot.analysis_registry` says what an analysis is.
"""
