"""Errors a user can meet. Each message is one line that names the thing at fault and the way out."""


class CodingSpotError(Exception):
    """Base of every error this package raises on bad input, bad files or a bad environment."""


class ModelError(CodingSpotError):
    """A model can't be found, loaded or used: unknown id, not a causal LM, unsupported weights."""


class CorpusError(CodingSpotError):
    """A corpus is empty, unreadable, or too short to be used."""


class ArtefactError(CodingSpotError):
    """A saved artefact is missing, truncated, corrupt, or of another kind."""


class FingerprintError(ArtefactError):
    """An artefact was made from other weights, or a run directory from another study."""


class OutputError(FingerprintError):
    """Output would replace, or lie within, what isn't its own: a user's files, an input, a directory in use."""


class SelectionError(CodingSpotError):
    """A selection can't be made: k outside (0, 100] percent, an empty scope, too few parameters."""


class NonFiniteError(CodingSpotError):
    """A loss, gradient, score or weight is NaN or infinite; the message names the tensor."""


class MissingPackageError(CodingSpotError, ModuleNotFoundError):
    """A package is needed that only an extra of this one brings; the message names the extra."""


class StudyError(CodingSpotError):
    """A study file is invalid, or asks for something that can't be done."""


class SandboxError(CodingSpotError):
    """Generated programs can't be run safely on this machine."""


class EvaluationError(CodingSpotError):
    """A task can't be loaded or evaluated."""


class WorkerError(CodingSpotError):
    """Processes that work together can't be started or reached, or keep dying."""
