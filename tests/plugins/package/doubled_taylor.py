"""An estimator: one file, registered, and named by an entry point."""

from codingspot.importance import ESTIMATORS, DomainInput, Estimate, EstimatorTraits


@ESTIMATORS.register("doubled_taylor", label="doubled Taylor", traits=EstimatorTraits(additive=True, first_order=True))
def doubled_taylor(domain: DomainInput, *, factor: float = 2.0) -> Estimate:
    """Taylor saliency times ``factor``."""
    found = ESTIMATORS["taylor"](domain)
    return Estimate({name: factor * scores for name, scores in found.scores.items()}, found.loss)
