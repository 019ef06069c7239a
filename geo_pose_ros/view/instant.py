# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is known at one time, as the viewer draws it; light to import, as the page is served before a bag is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import GeoPoseError
from ..findings import Verdict
from ..messages.diagnostics import Status, verdict_from_statuses
from ..types import Bodies3D, Frame, Keypoints2D


class LazyFrames(Mapping[str, Frame]):
    """Images by camera, each decoded when it is first asked for; one that cannot be decoded is not there."""

    def __init__(
        self, decoders: Mapping[str, Callable[[], Frame]], on_error: Callable[[str, GeoPoseError], None]
    ) -> None:
        """Decode nothing yet; ``on_error`` gets the camera and the GeoPoseError that its decoder raised, once."""
        self._decoders, self._on_error = decoders, on_error
        self._frames: dict[str, Frame | None] = {}

    def __getitem__(self, name: str) -> Frame:
        """Return a camera's image."""
        if name not in self._frames:
            try:
                self._frames[name] = self._decoders[name]()
            except GeoPoseError as error:
                self._frames[name] = None
                self._on_error(name, error)
        frame = self._frames[name]
        if frame is None:
            raise KeyError(name)
        return frame

    def __iter__(self) -> Iterator[str]:
        """Yield the cameras whose images can be decoded."""
        return (name for name in self._decoders if name in self)

    def __len__(self) -> int:
        """Return how many images can be decoded."""
        return sum(1 for _ in self)


@dataclass(slots=True)
class Instant:
    """What was known at one time.

    Attributes:
        time_ns: of receiving, on the time line.
        stamp_ns: of acquisition.
        bodies: None where there are none.
        keypoints: by camera.
        frames: images by camera.
        statuses: the last diagnostics, by name: 'camera <name>', 'pipeline'.
    """

    time_ns: int
    stamp_ns: int
    bodies: Bodies3D | None = None
    keypoints: Mapping[str, Keypoints2D] = field(default_factory=dict)
    frames: Mapping[str, Frame] = field(default_factory=dict)
    statuses: Mapping[str, Status] = field(default_factory=dict)

    def camera(self, name: str) -> Status | None:
        """Return what diagnostics say of a camera; None if nothing."""
        return self.statuses.get(f'camera {name}')

    @property
    def verdict(self) -> Verdict | None:
        """What diagnostics say in all; None where they say nothing."""
        return verdict_from_statuses(self.statuses.values())

    @property
    def pipeline(self) -> str:
        """What diagnostics say of the pipeline."""
        return self.statuses['pipeline'].message if 'pipeline' in self.statuses else ''
