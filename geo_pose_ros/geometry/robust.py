"""Robust statistics of residuals: Geman and McClure's loss (1987), and a spread that outliers do not move."""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray

# Standard deviation of a normal distribution over the median of |x|.
_SIGMAS_PER_MEDIAN = 1.4826


def geman_mcclure_weight(squared: FloatArray) -> FloatArray:
    """Return the weights (...) in [0, 1] of squared residuals (...), each divided by its squared scale.

    At the scale itself the weight is 1/4. Infinity has weight 0; NaN stays NaN.
    """
    weight: FloatArray = 1.0 / np.square(1.0 + squared)
    return weight


def geman_mcclure_cost(squared: FloatArray) -> FloatArray:
    """Return the costs (...) in [0, 1] of squared residuals (...), each divided by its squared scale.

    Infinity costs 1; NaN stays NaN. The weight above is the derivative with respect to ``squared``.
    """
    cost: FloatArray = 1.0 - 1.0 / (1.0 + squared)
    return cost


def median_spread(residual: FloatArray) -> float:
    """Return the standard deviation of residuals (N,) around 0 from the median of their sizes."""
    return _SIGMAS_PER_MEDIAN * float(np.median(np.abs(residual)))
