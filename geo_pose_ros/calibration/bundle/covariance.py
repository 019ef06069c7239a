"""How sure an adjustment is of its cameras, in the world that fits them best."""

from __future__ import annotations

import numpy as np

from ...arrays import FloatArray
from ...geometry.rigid import cross_matrix
from .normal import NormalEquations
from .parameters import PARAMETERS, ROTATION, TRANSLATION, Unknowns
from .residuals import Problem

# Rotation, translation and scale of the world.
_GAUGE = 7
# Errors farther apart in time are independent.
_MEMORY_S = 1.0


def camera_covariance(problem: Problem, normal: NormalEquations, at: Unknowns) -> FloatArray:
    """Return the covariance (11 C, 11 C) of the cameras' parameters in the world that fits them best; 0 if not free.

    H^-1 B H^-1 with H the reduced normal matrix and B the covariance of the reduced pulls, with their correlation
    over up to a second (Newey & West, Econometrica 1987): a detector's error lasts, and a covariance that takes
    every image for new information is several times too small.
    """
    S, pull, _ = normal.reduced(0.0)
    diagonal = np.diag(S)
    # What nothing says anything about (bones that are not used) has no part in the inverse.
    informed = diagonal > 0.0
    scale = np.where(informed, 1.0 / np.sqrt(np.where(informed, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(S * scale[:, None] * scale)
    # Without given poses the world's seven dimensions are free.
    nothing = int((~informed).sum()) + (_GAUGE if problem.given is None else 0)
    order = np.argsort(values)[nothing:]
    inverse = (vectors[:, order] / np.maximum(values[order], 1e-12)) @ vectors[:, order].T
    inverse *= scale[:, None] * scale
    B = _pull_covariance(problem.views.time_s, pull)
    # What is known beforehand is information too, and as uncertain as it says.
    free = np.flatnonzero(problem.free)
    B[np.arange(len(free)), np.arange(len(free))] += problem.prior_information()[problem.free]
    full = inverse @ B @ inverse / normal.slope**2
    covariance = np.zeros((problem.free.size, problem.free.size))
    covariance[np.ix_(free, free)] = full[: len(free), : len(free)]
    G = gauge(at.R, at.t)
    metric = alignment_metric(at, at.xyz[problem.known])
    P = np.eye(len(G)) - G @ np.linalg.solve((G * metric[:, None]).T @ G, (G * metric[:, None]).T)
    return np.asarray(P @ covariance @ P.T)


def gauge(R: FloatArray, t: FloatArray) -> FloatArray:
    """Return (11 C, 7): how the parameters of cameras R (C, 3, 3), t (C, 3) change with the world.

    x_world' = (1 + s) (1 + [q]x) x_world + b leaves all pixels as they are; the columns are q, b and s.
    """
    G = np.zeros((len(R), PARAMETERS, _GAUGE))
    for c in range(len(R)):
        centre = -R[c].T @ t[c]
        G[c, ROTATION, :3] = -R[c]
        G[c, TRANSLATION, :3] = R[c] @ cross_matrix(centre)
        G[c, TRANSLATION, 3:6] = -R[c]
        G[c, TRANSLATION, 6] = -R[c] @ centre
    return G.reshape(-1, _GAUGE)


def alignment_metric(at: Unknowns, points: FloatArray) -> FloatArray:
    """Return (11 C,) weights of the parameters in an alignment: a rotation counts as what it moves (m)."""
    positions = -np.einsum('cji,cj->ci', at.R, at.t)
    lever_m = float(np.median(np.linalg.norm(positions - np.median(points, axis=0), axis=1)))
    metric = np.zeros((len(at.R), PARAMETERS))
    metric[:, ROTATION], metric[:, TRANSLATION] = lever_m**2, 1.0
    return metric.ravel()


def _pull_covariance(time_s: FloatArray, pull: FloatArray) -> FloatArray:
    """Return (G, G): the covariance of the summed pulls (M, G), correlated over up to a second."""
    times, index = np.unique(time_s, return_inverse=True)
    instants = np.zeros((len(times), pull.shape[1]))
    np.add.at(instants, index, pull)
    instants -= instants.mean(0)
    own = instants.T @ instants
    kernel = np.maximum(1.0 - np.abs(times[:, None] - times) / _MEMORY_S, 0.0)
    B = instants.T @ kernel @ instants
    # As many independent instants as the correlation leaves; every unknown takes one of them.
    positive = np.diag(own) > 0.0
    repeats = max(float(np.median(np.diag(B)[positive] / np.diag(own)[positive])), 1.0) if positive.any() else 1.0
    independent = len(times) / repeats
    free = max(independent - float(positive.sum()), 0.25 * independent)
    return np.asarray(B * (independent / free))
