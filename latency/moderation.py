"""Variances of many cases, each from a few launches, made steadier by one another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_MIN_CASES = 6
_NEWTON_STEPS = 50
_OUTLIER_LEVEL = 0.99


def moderated(variances: Vector, freedoms: Vector) -> tuple[Vector, Vector]:
    """Variances drawn towards what is usual among them, and their higher degrees of freedom.

    Empirical Bayes (Smyth 2004, section 6.2): true variances are taken to be drawn from a scaled
    inverse chi-squared distribution, of which scale and degrees of freedom are fitted to all of
    them; where they differ widely the fit has few degrees of freedom and little changes. A
    variance far above the others (the 99th percentile of that model) stays as it is.

    Args:
        variances: One a case; those that are 0 or not finite stay as they are.
        freedoms: Degrees of freedom of each, at least 1.
    """
    usable = np.isfinite(variances) & (variances > 0)
    if usable.sum() < _MIN_CASES:
        return variances, freedoms
    from scipy.special import fdtri

    v, d = variances[usable], freedoms[usable]
    prior, prior_freedom = _fitted(v, d)
    if np.isinf(prior_freedom):
        drawn = np.full_like(v, prior)
    else:
        drawn = (prior_freedom * prior + d * v) / (prior_freedom + d)
    gained = np.minimum(prior_freedom + d, d.sum())
    far = v > prior * fdtri(d, np.minimum(prior_freedom, 1e6), _OUTLIER_LEVEL)
    new_variances, new_freedoms = variances.copy(), freedoms.copy()
    new_variances[usable] = np.where(far, v, drawn)
    new_freedoms[usable] = np.where(far, d, gained)
    return new_variances, new_freedoms


def _fitted(variances: Vector, freedoms: Vector) -> tuple[float, float]:
    """Scale and degrees of freedom of the prior, by the moments of the logarithms.

    How much the true variances differ is taken a standard error higher than it was found, so that
    few cases lend each other little.
    """
    from scipy.special import polygamma, psi

    half = freedoms / 2
    logs = np.log(variances) - psi(half) + np.log(half)
    spread = float(logs.var(ddof=1))
    excess = spread * (1 + math.sqrt(2 / (len(logs) - 1))) - float(polygamma(1, half).mean())
    if excess <= 0:
        return float(np.exp(logs.mean())), np.inf
    prior_half = _trigamma_inverse(excess)
    scale = float(np.exp(logs.mean() + psi(prior_half) - np.log(prior_half)))
    return scale, 2 * prior_half


def _trigamma_inverse(value: float) -> float:
    """The x > 0 at which the trigamma function is `value`, by Newton's method on 1 / trigamma."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(_NEWTON_STEPS):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x
