# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The people of a set: whose each detection is, and their joints, solved from all views with what their tracks know."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..arrays import FloatArray, IntArray
from ..fusion.association import assign_detections
from ..fusion.estimate import Estimate, Lift, estimate_bodies
from ..fusion.grouping import group
from ..fusion.merging import merge_lone_views
from ..fusion.prior import BodyPrior, BonePrior
from ..fusion.table import BodyTable
from ..fusion.views import BodyViews, Cameras, Detections, Noise
from ..skeleton import BODY17, mirror_of
from .kernels.measurement import TrackedBodies, find_free, gather_tracks
from .kernels.pairing import exchange_views, judge_new
from .observation import Observation
from .settings import SceneConfig, TrackingConfig
from .tracks import Tracks

# Bodies are solved again where the measured velocity moves a view's joint by more than this, m.
_AGAIN_M = 0.008
# New people that may be refused after they were grouped, so that they do not keep the last places from others for ever.
_MOST_REFUSED = 8


@dataclass(frozen=True, slots=True, eq=False)
class Assignment(BodyTable):
    """B people and their detections.

    Attributes:
        views: (B, C) the detection of each person in each camera, -1 for none.
        tracks: (B,) the track that each continues, -1 for a new person.
        keypoints: of the detections.
    """

    views: IntArray
    tracks: IntArray
    keypoints: BodyViews


def assign(observation: Observation, tracks: Tracks, config: TrackingConfig) -> Assignment:
    """Return who is in a set; ``tracks`` are predicted to its instant."""
    cameras, detections = observation.cameras, observation.detections
    local = cameras.see(tracks.predicted(), tracks.filter.velocity)
    # Where sets are far apart, or somebody was not seen for a while, predictions are poorer.
    gate_m = config.gate_m + np.minimum(tracks.sigma_m(), config.gate_m)
    views, nearest = assign_detections(local, detections, gate_m, tracks.priority(), mirror_of(BODY17))
    views = merge_lone_views(
        cameras, local, detections, views, (config.gate_m, config.new_gate_m), tracks.by_seniority(),
        int(tracks.confirmed.sum()),
    )
    exchange_pairs(cameras, detections, tracks, views, nearest)
    is_known, free = np.empty(len(views), bool), np.empty(len(detections), bool)
    # A duplicate detection of somebody known is not somebody new.
    left = find_free(views, nearest, config.new_gate_m, is_known, free)
    known = np.flatnonzero(is_known)
    found, continued = views[known], known
    room = config.max_bodies - tracks.present
    if left and room > 0:
        new = _find_new(observation, views, np.flatnonzero(free), tracks, config, room)
        found, continued = np.concatenate([found, new]), np.concatenate([known, np.full(len(new), -1)])
    return Assignment(found, continued, detections.gather(found))


def exchange_pairs(
    cameras: Cameras, detections: Detections, tracks: Tracks, views: IntArray, nearest: FloatArray
) -> None:
    """Exchange the views of bodies that two cameras see where other pairs have fitted better over time.

    Where each of two cameras sees only one of two neighbours, their detections begin one wrong body, which goes on
    though both are seen later: predictions fit what they were made from. So the detections of every two cameras that
    are nobody's, or of bodies that no third camera sees, are paired anew in each set: one to one, with the least
    distance between their rays. Where the best pairs have fitted better than those of a body on average, they replace
    them, in all bodies that have a part in them; these bodies begin anew where they are found. An id stays with the
    view that it has held longer. A new view that does not fit the old one at all is refused at once.

    Args:
        cameras: C cameras.
        detections: D detections.
        tracks: T bodies, predicted to the set's instant.
        views: (T, C) the detection of each body in each camera, -1 for none; changed.
        nearest: (D,) m, from ``assign_detections``; inf where a body gave a detection away.
    """
    memory = tracks.pairing(len(cameras))
    exchange_views(cameras.cam_from_world, detections.arrays, memory, tracks.dt_s, views, nearest)
    tracks.restart(memory.changed)


def _find_new(
    observation: Observation, views: IntArray, free: IntArray, tracks: Tracks, config: TrackingConfig,
    room: int,
) -> IntArray:
    """Return the views (G, C) of at most ``room`` new people among the detections ``free`` (F,).

    Tracks have ``views`` (T, C).
    """
    needed = min(config.new_body_views, observation.delivering)
    new = group(
        observation.cameras, observation.detections, free, config.gate_m, config.new_gate_m, needed,
        room + _MOST_REFUSED,
    )
    if not len(new):
        return new
    # Two views that hardly fit may be of two people; who they are of is found when others fit better.
    kept = np.empty(len(new), bool)
    judge_new(observation.cameras.cam_from_world, observation.detections.arrays, tracks.usual_fit, new, kept)
    new = new[kept]
    # A detection that was prompted by a body is no evidence of another one, while that body has other views.
    lost = tracks.ids[(views >= 0).sum(1) < needed]
    evidence = (observation.hints < 0) | np.isin(observation.hints, lost)
    return np.asarray(new[((new >= 0) & evidence[new]).sum(1) >= needed][:room])


@dataclass(frozen=True, slots=True, eq=False)
class Measured(BodyTable):
    """B people as measured in one set.

    Attributes:
        views: (B, C) the detection of each person in each camera, -1 for none.
        tracks: (B,) the track that each continues, -1 for a new person.
        velocity: (B, J, 3) m/s, predicted, 0 where unknown.
        estimate: their joints.
    """

    views: IntArray
    tracks: IntArray
    velocity: FloatArray
    estimate: Estimate

    def __len__(self) -> int:
        return len(self.tracks)


def measure_bodies(
    cameras: Cameras, assignment: Assignment, tracks: Tracks, bones: BonePrior | None, config: SceneConfig,
    noise: Noise, lift: Lift | None,
) -> Measured:
    """Solve the joints of a set's people.

    The velocity that moves joints to each view's instant is predicted. Where the set contradicts it, and views are far
    from the set's instant, the bodies are solved again.

    Args:
        cameras, assignment: of the set.
        tracks: those that the people continue.
        bones: what is known of their lengths.
        config: settings.
        noise: of the views.
        lift: see ``estimate_bodies``.

    Returns:
        The people with at least one known joint.
    """
    known = _read_tracks(assignment, tracks)
    velocity = known.velocity
    prior = BodyPrior(
        bones=bones, centre=known.centre, centre_variance=known.centre_variance, joints=known.position,
        displacement=find_displacement(cameras, velocity),
    )
    how = config.solver, noise, lift
    estimate = estimate_bodies(cameras, assignment.keypoints, prior, *how)
    if prior.displacement is not None:
        old = np.flatnonzero(assignment.tracks >= 0)
        solution = estimate.solution
        measured = velocity.copy()
        measured[old] = tracks.filter.velocity_given(
            assignment.tracks[old], solution.xyz[old], solution.random_covariance[old]
        )
        if np.abs(cameras.dt_s).max() * np.abs(measured - velocity).max(initial=0.0) > _AGAIN_M:
            prior = replace(prior, displacement=find_displacement(cameras, measured), lifted=estimate.lifted)
            again = estimate_bodies(cameras, estimate.views, prior, *how)
            estimate = replace(again, exchanged=estimate.exchanged ^ again.exchanged)
    found = np.asarray(np.isfinite(estimate.solution.xyz).any((1, 2)))
    return Measured(assignment.views, assignment.tracks, velocity, estimate).select(found)


def _read_tracks(assignment: Assignment, tracks: Tracks) -> TrackedBodies:
    """Return what the tracks know of the people of a set."""
    index, joints = assignment.tracks, tracks.filter.position.shape[1]
    shape = len(index), joints, 3
    bodies = TrackedBodies(np.empty(shape), np.empty(shape), np.empty((len(index), 3)), np.empty(len(index)))
    gather_tracks(index, tracks.filter.position, tracks.filter.velocity, tracks.centre_variance, bodies)
    return bodies


def find_displacement(cameras: Cameras, velocity: FloatArray) -> FloatArray | None:
    """Return (C, B, J, 3) m, how far joints move from the set's instant to each view's; None if they do not."""
    if not (cameras.dt_s.any() and velocity.any()):
        return None
    return cameras.dt_s[:, None, None, None] * velocity
