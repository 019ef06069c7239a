"""What is known at one time, as the viewer draws it; light to import, as the page is served before a bag is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import GeoPoseError
from ..types import Bodies3D, Frame, Keypoints2D


@dataclass(frozen=True, slots=True)
class CameraState:
    """What diagnostics say of a camera: level 0 ok, 1 warning, 2 error, and why."""

    level: int
    message: str


class LazyFrames(Mapping[str, Frame]):
    """Pictures by camera, each decoded when it is first asked for; one that cannot be decoded is not there."""

    def __init__(
        self, decoders: Mapping[str, Callable[[], Frame]], on_error: Callable[[str, GeoPoseError], None]
    ) -> None:
        """Decode nothing yet.

        Args:
            decoders: by camera; may raise GeoPoseError.
            on_error: gets the camera and what a decoder raised, once.
        """
        self._decoders, self._on_error = decoders, on_error
        self._frames: dict[str, Frame | None] = {}

    def __getitem__(self, name: str) -> Frame:
        """Return a camera's picture."""
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
        """Yield the cameras whose pictures can be decoded."""
        return (name for name in self._decoders if name in self)

    def __len__(self) -> int:
        """Return how many pictures can be decoded."""
        return sum(1 for _ in self)


@dataclass(slots=True)
class Instant:
    """What was known at one time.

    Attributes:
        time_ns: of receiving, on the time line.
        stamp_ns: of acquisition.
        bodies: None where there are none.
        keypoints: by camera.
        frames: pictures by camera.
        cameras: what diagnostics say, by camera.
        pipeline: what they say of the rest, in words.
    """

    time_ns: int
    stamp_ns: int
    bodies: Bodies3D | None = None
    keypoints: Mapping[str, Keypoints2D] = field(default_factory=dict)
    frames: Mapping[str, Frame] = field(default_factory=dict)
    cameras: Mapping[str, CameraState] = field(default_factory=dict)
    pipeline: str = ''


def camera_states(statuses: Mapping[str, tuple[int, str]]) -> tuple[dict[str, CameraState], str]:
    """Return from statuses (level, message) by name those of cameras, and that of the pipeline in words."""
    cameras = {
        name.removeprefix('camera '): CameraState(*said) for name, said in statuses.items()
        if name.startswith('camera ')
    }
    return cameras, statuses.get('pipeline', (0, ''))[1]
