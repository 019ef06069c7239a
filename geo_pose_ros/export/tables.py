# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Tables of bodies: CSV and Parquet, and how long people's bones are."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import needing
from ..evaluation.bodies import bone_lengths
from ..geometry.stats import nan_median
from ..messages.clouds.bodies import sigma_m
from ..skeleton import BODY17
from .sequence import BodySequence

Column = NDArray[np.generic]
AXES = 'xyz'
# Who was seen in fewer sets by two cameras is not somebody to know again.
_LEAST_SETS = 30


def joint_columns(bodies: BodySequence) -> dict[str, Column]:
    """Return the columns of the long table by name, a row per set, person and joint that is known.

    Units are in the names: m, m^2, px, s, ns. The covariance is of x y z, its upper triangle.
    """
    rows, people, joints = np.nonzero(bodies.known)
    xyz, covariance = bodies.xyz[rows, people, joints], bodies.covariance[rows, people, joints]
    return {
        'time_s': bodies.times_s[rows], 'stamp_ns': bodies.stamps_ns[rows], 'person': bodies.ids[people],
        'joint': np.array(bodies.skeleton.joint_names)[joints],
        **{f'{axis}_m': xyz[:, k] for k, axis in enumerate(AXES)},
        'sigma_m': sigma_m(covariance),
        **{f'cov_{AXES[i]}{AXES[k]}_m2': covariance[:, i, k] for i, k in zip(*np.triu_indices(3), strict=True)},
        'confidence': bodies.confidence[rows, people, joints], 'num_views': bodies.num_views[rows, people, joints],
        'reprojection_error_px': bodies.reprojection_error[rows, people, joints],
    }


def angle_columns(bodies: BodySequence) -> dict[str, Column]:
    """Return the columns of the angles' table by name, a row per set and person; degrees."""
    rows, people = np.nonzero(bodies.known.any(2))
    return {
        'time_s': bodies.times_s[rows], 'stamp_ns': bodies.stamps_ns[rows], 'person': bodies.ids[people],
        **{f'{name}_deg': values[rows, people] for name, values in bodies.angles().items()},
    }


def write_csv(bodies: BodySequence, out: Path) -> Iterator[Path]:
    """Write `OUT.csv`, joints, and `OUT_angles.csv`, angles; yield the paths. NaN is an empty field."""
    for path, columns in _tables(bodies, out, '.csv'):
        with path.open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*map(_texts, columns.values()), strict=True))
        yield path


def write_parquet(bodies: BodySequence, out: Path) -> Iterator[Path]:
    """Write `OUT.parquet` and `OUT_angles.parquet`, as ``write_csv``; yield the paths.

    Raises:
        ConfigError: if pyarrow is missing.
    """
    with needing('pyarrow', 'Parquet'):
        import pyarrow
        import pyarrow.parquet
    for path, columns in _tables(bodies, out, '.parquet'):
        table = pyarrow.table(columns).replace_schema_metadata({'frame_id': bodies.frame_id,
                                                                 'skeleton': bodies.skeleton.name})
        pyarrow.parquet.write_table(table, path)  # type: ignore[no-untyped-call]
        yield path


def _tables(bodies: BodySequence, out: Path, suffix: str) -> list[tuple[Path, Mapping[str, Column]]]:
    return [
        (out.with_name(f'{out.name}{suffix}'), joint_columns(bodies)),
        (out.with_name(f'{out.name}_angles{suffix}'), angle_columns(bodies)),
    ]


def _texts(column: Column) -> list[str]:
    """Return a column's values; of a number so many digits as single precision has."""
    if column.dtype.kind != 'f':
        return [str(value) for value in column.tolist()]
    return ['' if value != value else f'{value:.9g}' for value in column.tolist()]


def write_people(bodies: BodySequence, out: Path) -> Iterator[Path]:
    """Write `OUT_people.json`, the median lengths of people's bones that two views see for a while; yield its path.

    ``pipeline.tracking.people`` reads it, so that these people are known when they come again.
    """
    xyz = np.where((bodies.num_views >= 2)[..., None], bodies.xyz, np.nan)
    lengths_m = np.moveaxis(bone_lengths(BODY17, xyz), 0, -1)
    enough = np.isfinite(lengths_m).sum(-1) >= _LEAST_SETS
    lengths_m = np.where(enough, nan_median(lengths_m), np.nan)
    people = {
        str(body): {'lengths_m': {name: round(m, 4) for name, m in zip(BODY17.bones, row, strict=True) if m > 0.0}}
        for body, row in zip(bodies.ids.tolist(), lengths_m.tolist(), strict=True) if np.isfinite(row).any()
    }
    path = out.with_name(f'{out.name}_people.json')
    path.write_text(json.dumps({'people': people}, indent=1) + '\n', encoding='utf-8')
    yield path
