# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The formats that bodies over time are written in, by the suffix of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import ConfigError
from .bvh import write_bvh
from .glb import write_glb
from .markers import write_c3d, write_trc
from .sequence import BodySequence
from .tables import write_csv, write_parquet, write_people

FORMATS: Mapping[str, Callable[[BodySequence, Path], Iterable[Path]]] = {
    'csv': write_csv, 'parquet': write_parquet, 'trc': write_trc, 'c3d': write_c3d, 'bvh': write_bvh, 'glb': write_glb,
    'people': write_people,
}
# Written with the images, by ``session.video``.
MP4 = 'mp4'


def parse_formats(text: str) -> list[str]:
    """Return the formats of a list as 'csv,trc'; raise ConfigError for one that is not known."""
    names = [name.strip().lower() for name in text.split(',') if name.strip()]
    unknown = [name for name in names if name not in (*FORMATS, MP4)]
    if unknown or not names:
        raise ConfigError(f"--to: received '{text}', expected a list of {', '.join((*FORMATS, MP4))}.")
    return list(dict.fromkeys(names))


def write_formats(bodies: BodySequence, out: Path, formats: Sequence[str]) -> list[Path]:
    """Write bodies in ``formats`` of FORMATS to files whose names begin with ``out``; return the paths.

    Raises:
        ConfigError: if a library is missing, or a file cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return [path for name in formats for path in FORMATS[name](bodies, out)]
    except OSError as error:
        raise ConfigError(f"'{out}' cannot be written: {error.strerror}. Choose another place with --out.") from error
