"""Errors of the package; a message says what is wrong, what was received, what is possible, and the remedy."""


class GeoPoseError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(GeoPoseError):
    """A parameter, recipe or file of settings is wrong."""


class CalibrationError(GeoPoseError):
    """Intrinsics, extrinsics or a rig are missing or impossible."""


class TransformError(CalibrationError):
    """The pose of one frame in another is not known at one instant.

    Attributes:
        kind: 'late' (the instant is after all transforms), 'old' (before), 'missing' or 'jump'.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class ShapeError(GeoPoseError):
    """An array has another shape, dtype or range than declared."""


class BackendError(GeoPoseError):
    """An inference engine cannot do what was asked of it."""


class BagError(GeoPoseError):
    """A bag cannot be read or written as asked."""


class DetectorError(GeoPoseError):
    """A 2D detector cannot be started, or returned something else than declared."""


class FrameError(GeoPoseError):
    """One image message cannot be used (truncated, unknown encoding, wrong size)."""


class DepthError(FrameError):
    """An image message holds depth, so that its topic is no camera."""
