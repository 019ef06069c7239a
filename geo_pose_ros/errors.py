# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Errors of the package; a message says what is wrong, what was received, what is possible, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


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


def refuse_existing(path: Path, *, overwrite: bool, error: type[GeoPoseError] = GeoPoseError) -> None:
    """Raise ``error`` if there is something at ``path`` and it is not to be replaced: the one rule of what writes."""
    if path.exists() and not overwrite:
        raise error(f"'{path}' exists already. Choose another path, or give --overwrite to replace it.")


def refuse_other_folder(path: Path, mark: str, *, overwrite: bool) -> None:
    """Raise unless a folder to write is new, empty, or an older one of ours, which holds ``mark``, to be replaced."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() and not (path / mark).is_file():
        raise GeoPoseError(f"'{path}' holds something else; choose a folder of its own, which need not exist.")
    refuse_existing(path, overwrite=overwrite)


@contextmanager
def needing(package: str, what: str, kind: type[GeoPoseError] = ConfigError) -> Iterator[None]:
    """Raise an error of ``kind`` with how to get ``package``, which ``what`` needs, where the imports inside fail."""
    try:
        yield
    except ImportError as error:
        raise kind(
            f"{what} needs the Python package '{package}' ({error}). Install it: python3 -m pip install {package}"
        ) from error


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest known word, with a space before it; '' if none is near."""
    near = get_close_matches(word, known, 1)
    return f" Did you mean '{near[0]}'?" if near else ''
