# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The detectors of known networks: BlazePose or MoveNet reads one person, one or both of their finders find people.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020; Google, "MoveNet model cards", 2021.
"""

from __future__ import annotations

from .blazepose.keypoints import BlazePoseKeypoints
from .blazepose.person import BlazePosePersons
from .models.catalogue import find_model
from .models.profiles import networks_of
from .movenet.keypoints import SingleposeKeypoints
from .movenet.persons import MultiposePersons
from .networks import KeypointReader, PersonFinder, loading
from .settings import DetectorConfig
from .top_down import TopDownDetector


def create_shipped(config: DetectorConfig) -> TopDownDetector:
    """Load the networks that ``config`` names: its own, else those of its profile.

    Raises:
        ConfigError: for the name of no network.
        DetectorError: if an engine or a file is missing or is not such a network.
    """
    keypoints_name, finder_names = networks_of(config)
    with loading(config.name) as loaded:
        keypoints = _keypoints(config, keypoints_name)
        loaded.append(keypoints)
        finders = []
        for name in finder_names:
            finders.append(_finder(config, name, keypoints))
            loaded.append(finders[-1])
    return TopDownDetector(finders, keypoints, config)


def _keypoints(config: DetectorConfig, name: str) -> KeypointReader:
    if config.name == 'movenet':
        return SingleposeKeypoints(config.engine, find_model(name))
    return BlazePoseKeypoints(config.engine, find_model(name))


def _finder(config: DetectorConfig, name: str, keypoints: KeypointReader) -> PersonFinder:
    if name == 'movenet_multipose':
        return MultiposePersons(config.engine, keypoints.propose_regions, find_model(name))
    return BlazePosePersons(config.engine, find_model(name))
