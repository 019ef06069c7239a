# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Tables of bodies: CSV, Parquet, DataFrames of pandas, Datasets of xarray."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..errors import needing
from ..messages.clouds.bodies import sigma_m
from .sequence import BodySequence

if TYPE_CHECKING:
    import pandas
    import xarray

Column = NDArray[np.generic]
_AXES = 'xyz'


def joint_columns(bodies: BodySequence) -> dict[str, Column]:
    """Return the columns of the long table by name, a row per set, person and joint that is known.

    Units are in the names: m, m^2, px, s, ns. The covariance is of x y z, its upper triangle.
    """
    rows, people, joints = np.nonzero(bodies.known)
    xyz, covariance = bodies.xyz[rows, people, joints], bodies.covariance[rows, people, joints]
    return {
        'time_s': bodies.times_s[rows], 'stamp_ns': bodies.stamps_ns[rows], 'person': bodies.ids[people],
        'joint': np.array(bodies.skeleton.joint_names)[joints],
        **{f'{axis}_m': xyz[:, k] for k, axis in enumerate(_AXES)},
        'sigma_m': sigma_m(covariance),
        **{f'cov_{_AXES[i]}{_AXES[k]}_m2': covariance[:, i, k] for i, k in zip(*np.triu_indices(3), strict=True)},
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


def write_csv(bodies: BodySequence, out: Path) -> list[Path]:
    """Write `OUT.csv`, joints, and `OUT_angles.csv`, angles; return the paths. NaN is an empty field."""
    files = []
    for path, columns in _tables(bodies, out, '.csv'):
        with path.open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*map(_texts, columns.values()), strict=True))
        files.append(path)
    return files


def write_parquet(bodies: BodySequence, out: Path) -> list[Path]:
    """Write `OUT.parquet` and `OUT_angles.parquet`, as ``write_csv``; return the paths.

    Raises:
        ConfigError: if pyarrow is missing.
    """
    with needing('pyarrow', 'Parquet'):
        import pyarrow
        import pyarrow.parquet
    files = []
    for path, columns in _tables(bodies, out, '.parquet'):
        table = pyarrow.table(columns).replace_schema_metadata({'frame_id': bodies.frame_id,
                                                                 'skeleton': bodies.skeleton.name})
        pyarrow.parquet.write_table(table, path)  # type: ignore[no-untyped-call]
        files.append(path)
    return files


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


def to_pandas(bodies: BodySequence) -> pandas.DataFrame:
    """Return the table of ``joint_columns`` as a DataFrame; raise ConfigError if pandas is missing."""
    with needing('pandas', 'to_pandas'):
        import pandas as pd

    return pd.DataFrame(joint_columns(bodies))


def to_xarray(bodies: BodySequence) -> xarray.Dataset:
    """Return a Dataset: position, covariance, confidence, views and angles over time, person, joint, axis.

    Raises:
        ConfigError: if xarray is missing.
    """
    with needing('xarray', 'to_xarray'):
        import xarray as xr

    joint = ('time', 'person', 'joint')
    data: dict[str, tuple[tuple[str, ...], FloatArray, dict[str, str]]] = {
        'position': ((*joint, 'axis'), bodies.xyz, {'units': 'm'}),
        'covariance': ((*joint, 'axis', 'axis2'), bodies.covariance, {'units': 'm2'}),
        'confidence': (joint, bodies.confidence, {}),
        'num_views': (joint, np.asarray(bodies.num_views), {}),
        'reprojection_error': (joint, bodies.reprojection_error, {'units': 'px'}),
    }
    data |= {name: (('time', 'person'), values, {'units': 'deg'}) for name, values in bodies.angles().items()}
    return xr.Dataset(data, {
        'time': ('time', bodies.times_s, {'units': 's'}), 'stamp_ns': ('time', bodies.stamps_ns),
        'person': bodies.ids, 'joint': list(bodies.skeleton.joint_names), 'axis': list(_AXES), 'axis2': list(_AXES),
    }, {'frame_id': bodies.frame_id, 'skeleton': bodies.skeleton.name})
