"""The detector that ships: BlazePose on our own engines. 33 landmarks; weights of mediapipe 0.10.14, Apache-2.0.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import DetectorError, GeoPoseError
from ..settings import DetectorConfig
from ..top_down import TopDownDetector
from .keypoints import BlazePoseKeypoints
from .person import BlazePosePersons


def create_blazepose(config: DetectorConfig) -> TopDownDetector:
    """Load both networks; ``model`` and ``person_model`` name others of their kind.

    Raises:
        DetectorError: if an engine or a file is missing or is not such a network.
    """
    persons: BlazePosePersons | None = None
    try:
        persons = BlazePosePersons(config.engine, Path(config.person_model) if config.person_model else None)
        keypoints = BlazePoseKeypoints(config.engine, Path(config.model) if config.model else None)
    except GeoPoseError as error:
        if persons is not None:
            persons.close()
        raise DetectorError(f"Detector 'blazepose': {error}") from error
    return TopDownDetector(persons, keypoints, config)
