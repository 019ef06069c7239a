# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The folder of a session: its bags, and the bodies in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..bags.recording import Recording
from ..errors import BagError, ConfigError
from ..export.formats import MP4, write_formats
from ..export.sequence import read_sets
from ..geometry.alignment import up_direction
from ..types import CameraRig
from .bodies import SessionBodies
from .video import write_video

# Bags of a session: the images, and what the pipeline made of them.
IMAGES, PROCESSED = 'images', 'processed'
REPORT, EXPORT = 'report.html', 'export'


def bags_of(paths: Sequence[Path]) -> list[Path]:
    """Return the bags that paths name: of a session's folder the results and the images.

    Raises:
        BagError: if a path does not exist.
    """
    bags = []
    for path in paths:
        if not path.exists():
            raise BagError(f"There is no session or bag at '{path}'. Give the folder of geo_pose run, or a bag.")
        inside = [path / name for name in (PROCESSED, IMAGES) if (path / name).exists()]
        bags += inside or [path]
    return bags


def load(session: Path | str | Sequence[Path | str], rig: CameraRig | None = None) -> SessionBodies:
    """Return the bodies of a session of `geo_pose run`, or of a bag that `geo_pose process` or the node wrote.

    Args:
        session: the folder, the bag, or several bags of the same time.
        rig: calibration instead of the bags' own; it says what is up.

    Raises:
        BagError: if there is no such session, it cannot be read, or it has not one body.
    """
    paths = [session] if isinstance(session, (str, Path)) else session
    with Recording(bags_of([Path(path) for path in paths])[:1], rig) as recording:
        return SessionBodies.from_sets(read_sets(recording), up_direction(recording.rig))


def export_session(
    paths: Sequence[Path], formats: Sequence[str], out: Path | None = None, rig: CameraRig | None = None, *,
    overwrite: bool = False,
) -> list[Path]:
    """Write the bodies of a session, or of bags, in ``formats``; return the files.

    Args:
        paths: the folder of `geo_pose run`, or bags; for mp4 the images' too.
        formats: of ``export.formats``.
        out: folder; None: `export` in the session, or beside the bag. Files are named after the session.
        rig: calibration instead of the bags' own.
        overwrite: replace files that are there.

    Raises:
        BagError: if something cannot be read, or has no body.
        ConfigError: if the folder has files already, one cannot be written, or a library is missing.
    """
    first, bags = paths[0], bags_of(paths)
    in_session = bags[0].parent == first
    folder = out or (first / EXPORT if in_session else first.with_name(f'{first.name}_{EXPORT}'))
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise ConfigError(f"'{folder}' has files already; replace them with --overwrite, or choose another --out.")
    stem = folder / (first.resolve().name if in_session else first.stem)
    files: list[Path] = []
    with Recording(bags, rig) as recording:
        tables = [name for name in formats if name != MP4]
        if tables:
            bodies = SessionBodies.from_sets(read_sets(recording), up_direction(recording.rig))
            files += write_formats(bodies, stem, tables)
        if MP4 in formats:
            files.append(write_video(recording, stem))
    return files
