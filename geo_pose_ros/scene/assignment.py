"""Assignment of a set's detections: to the people who are known first, then grouped into new ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import IntArray
from ..fusion.association import assign_detections
from ..fusion.grouping import group
from ..fusion.merging import merge_lone_views
from ..fusion.table import BodyTable
from ..fusion.views import BodyViews
from ..skeleton import BODY17, mirror_of
from .observation import Observation
from .settings import TrackingConfig
from .tracks import Tracks


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
    order = tracks.by_seniority()
    views[order] = merge_lone_views(
        cameras, local[:, order], detections, views[order], config.gate_m, config.new_gate_m
    )
    known = np.flatnonzero((views >= 0).any(1))
    free = np.ones(len(detections), bool)
    free[views[views >= 0]] = False
    # A duplicate detection of somebody known is not somebody new.
    free &= nearest > config.new_gate_m
    needed = min(config.new_body_views, observation.delivering)
    new = group(cameras, detections, np.flatnonzero(free), config.gate_m, config.new_gate_m, needed)
    # A detection that was prompted by a body is no evidence of another one, while that body has other views.
    lost = tracks.ids[(views >= 0).sum(1) < needed]
    evidence = (observation.hints < 0) | np.isin(observation.hints, lost)
    new = new[((new >= 0) & evidence[new]).sum(1) >= needed]
    views = np.concatenate([views[known], new])
    return Assignment(views, np.concatenate([known, np.full(len(new), -1)]), detections.gather(views))
