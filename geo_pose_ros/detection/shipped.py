"""The detectors of known networks: BlazePose or MoveNet reads one person, one or both of their finders find people.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020; Google, "MoveNet model cards", 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import FloatArray
from ..errors import DetectorError, GeoPoseError
from .blazepose.keypoints import BlazePoseKeypoints
from .blazepose.person import BlazePosePersons
from .models.catalogue import find_model
from .models.profiles import networks_of
from .movenet.keypoints import SingleposeKeypoints
from .movenet.persons import MultiposePersons
from .networks import ImageRegions, KeypointNetwork, Network, PersonNetwork
from .regions import Regions
from .settings import DetectorConfig
from .top_down import TopDownDetector


class SeveralFinders:
    """Finds whoever one of several networks finds: they miss different people; see PersonNetwork."""

    def __init__(self, finders: Sequence[PersonNetwork]) -> None:
        """Take over ``finders``."""
        self._finders = finders
        self.on_gpu = any(finder.on_gpu for finder in finders)

    def find_people(self, images: Sequence[ImageRegions]) -> list[tuple[Regions, FloatArray]]:
        """Return the regions of people, first all of the first finder; see PersonNetwork.

        A person that several find has a region of each: the readings tell which is better.
        """
        found = [finder.find_people(images) for finder in self._finders]
        return [
            (Regions.concatenate([regions for regions, _ in parts]), np.concatenate([scores for _, scores in parts]))
            for parts in zip(*found, strict=True)
        ]

    def close(self) -> None:
        """Free the networks."""
        for finder in self._finders:
            finder.close()


def create_shipped(config: DetectorConfig) -> TopDownDetector:
    """Load the networks that ``config`` names: its own, else those of its profile.

    Raises:
        ConfigError: for the name of no network.
        DetectorError: if an engine or a file is missing or is not such a network.
    """
    loaded: list[Network] = []
    keypoints_name, finder_names = networks_of(config)
    try:
        keypoints = _keypoints(config, keypoints_name)
        loaded.append(keypoints)
        finders = []
        for name in finder_names:
            finders.append(_finder(config, name, keypoints))
            loaded.append(finders[-1])
    except GeoPoseError as error:
        for network in loaded:
            network.close()
        raise DetectorError(f"Detector '{config.name}': {error}") from error
    return TopDownDetector(finders[0] if len(finders) == 1 else SeveralFinders(finders), keypoints, config)


def _keypoints(config: DetectorConfig, name: str) -> KeypointNetwork:
    if config.name == 'movenet':
        return SingleposeKeypoints(config.engine, find_model(name))
    return BlazePoseKeypoints(config.engine, find_model(name))


def _finder(config: DetectorConfig, name: str, keypoints: KeypointNetwork) -> PersonNetwork:
    if name == 'movenet_multipose':
        return MultiposePersons(config.engine, keypoints.propose_regions, find_model(name))
    return BlazePosePersons(config.engine, find_model(name))
