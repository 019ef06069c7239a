# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A store of recordings: a folder of Parquet files, a shard per recorded person, read piece by piece.

A row is a set; a row group is a piece, some hundreds of successive frames. Keypoints, confidences, labels and
stamps are columns; what a whole recording has in common (rig, skeleton, rate) is in the file's own metadata, and so is
its origin. Pages and metadata carry checksums. A shard is written beside its place and then moved there:
one that can be opened is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import GeoPoseError, needing
from geo_pose_ros.rigs.rig_file import dump_rig, parse_rig
from geo_pose_ros.settings import setting
from geo_pose_ros.skeleton import BODY17

from ...labels.triangulation import refined_labels
from ..recording import PersonRecording, data_hash

if TYPE_CHECKING:
    import pyarrow

SUFFIX = '.parquet'
# Keys of the file's metadata: the description of the shard, and its sha256, as Parquet's checksums cover pages only.
_KEY, _SHA256 = b'geo_pose', b'geo_pose_sha256'
# The description of a shard, and of its origin.
Json = dict[str, Any]
# Of the columns; a store of another version is made again.
_VERSION = 1


class StoreError(GeoPoseError):
    """A store cannot be read, or holds something else."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How recordings are cut into pieces."""

    piece_frames: int = setting(512, 'Largest number of frames of a piece, which is read at once', unit='frames', low=1)


@dataclass(frozen=True, slots=True)
class Shard:
    """One person's recording in a store, but for its frames.

    Attributes:
        path: of the file.
        cameras: how many.
        frames: how many.
        pieces: how many.
        hash: sha256 of its keypoints and rig, as data_hash of it alone.
        made_from: what identifies its origin, as it was given when it was written.
    """

    path: Path
    cameras: int
    frames: int
    pieces: int
    hash: str
    made_from: Json

    @property
    def bag(self) -> str:
        """The recording that it is of: several people have a shard each."""
        return str(self.made_from.get('bag', self.path))


def write_shard(path: Path, recording: PersonRecording, settings: StoreSettings, made_from: Json) -> None:
    """Write ``recording``, with its refined labels, as the shard ``path``.

    Args:
        path: ends in SUFFIX; replaced.
        recording: body17; its truth is not written.
        settings: of the pieces.
        made_from: what identifies the origin; JSON, kept as it is.
    """
    pa, pq = _arrow()
    count = len(recording)
    labels, weight = refined_labels(recording)
    stamps = np.zeros(count, np.int64) if recording.stamp_ns is None else recording.stamp_ns
    about = {
        'version': _VERSION, 'name': recording.name, 'subject': recording.subject, 'action': recording.action,
        'skeleton': list(BODY17.joint_names), 'fps': recording.fps, 'rig': yaml.safe_load(dump_rig(recording.rig)),
        'hash': data_hash([recording]), 'made_from': dict(made_from),
    }

    def column(values: FloatArray, dtype: type) -> pyarrow.Array:
        flat: np.ndarray = np.ascontiguousarray(values.reshape(count, -1), dtype)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])

    table = pa.table({
        'stamp_ns': pa.array(stamps), 'seen_joints': column((recording.confidence > 0.0).sum(-1), np.uint8),
        'xy': column(recording.xy, np.float32), 'confidence': column(recording.confidence, np.float32),
        'label': column(labels, np.float32), 'label_weight': column(weight, np.float32),
    })
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    text = json.dumps(about).encode()
    pq.write_table(
        table.replace_schema_metadata({_KEY: text, _SHA256: _sha256(text)}), partial,
        row_group_size=settings.piece_frames, compression='zstd', write_page_checksum=True,
    )
    partial.replace(path)


def open_store(folder: Path) -> list[Shard]:
    """Return the shards of a store, by name.

    Raises:
        StoreError: if there is no store, it is empty, or a shard is damaged or of another skeleton.
    """
    if not folder.is_dir():
        raise StoreError(f"Store '{folder}' does not exist; make one: geo_pose store 'bags/*' --out {folder}.")
    shards = [read_shard(path) for path in sorted(folder.glob(f'*{SUFFIX}'))]
    if not shards:
        raise StoreError(f"Store '{folder}' holds no shard; fill it: geo_pose store 'bags/*' --out {folder}.")
    return shards


def read_shard(path: Path) -> Shard:
    """Return the description of a shard; raise StoreError if it is damaged or of another skeleton or version."""
    with _opened(path) as (file, about):
        if about['skeleton'] != list(BODY17.joint_names):
            raise StoreError(
                f"Shard '{path}' is of another skeleton, {', '.join(about['skeleton'])}; expected that of body17. "
                'Make it again with geo_pose store.'
            )
        return Shard(
            path, len(about['rig']['cameras']), file.metadata.num_rows, file.metadata.num_row_groups, about['hash'],
            about['made_from'],
        )


def seen_joints(shard: Shard) -> Iterator[np.ndarray]:
    """Yield, of each piece, how many joints (F, C) each view saw; raise StoreError if the shard is damaged."""
    with _opened(shard.path) as (file, _):
        for piece in range(shard.pieces):
            yield _numbers(file.read_row_group(piece, ['seen_joints'], use_threads=False), 'seen_joints')


def read_recording(shard: Shard, piece: int | None = None) -> PersonRecording:
    """Return the frames of a piece (None: all), with their refined labels; raise StoreError if the shard is damaged."""
    with _opened(shard.path) as (file, about):
        table = file.read(use_threads=False) if piece is None else file.read_row_group(piece, use_threads=False)
        rig = parse_rig(about['rig'])
        shape = len(table), len(rig), len(BODY17)

        def numbers(name: str, *rest: int) -> FloatArray:
            return _numbers(table, name).astype(np.float64).reshape(shape[0], *rest)

        return PersonRecording(
            about['name'], about['subject'], about['action'], rig, numbers('xy', *shape[1:], 2),
            numbers('confidence', *shape[1:]), float(about['fps']),
            refined=(numbers('label', shape[2], 3), numbers('label_weight', shape[2])),
            stamp_ns=table.column('stamp_ns').to_numpy(),
        )


def _numbers(table: pyarrow.Table, name: str) -> np.ndarray:
    """Return the column ``name`` of lists of equal length as an array (F, length)."""
    column = table.column(name)
    values: np.ndarray = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Json]]:
    """Yield the open Parquet file and its description; raise StoreError if it is damaged, then or later."""
    pa, pq = _arrow()
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            metadata = file.schema_arrow.metadata or {}
            text = metadata.get(_KEY, b'{}')
            if _KEY in metadata and metadata.get(_SHA256) != _sha256(text):
                raise ValueError('its description has changed')
            about = json.loads(text)
            if about.get('version') != _VERSION:
                raise StoreError(
                    f"'{path}' is no shard of version {_VERSION} (it says {about.get('version', 'nothing')}); make it "
                    'again with geo_pose store.'
                )
            yield file, about
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"Shard '{path}' is damaged or cannot be read ({error}); delete it and run geo_pose store again, which "
            'makes only what is missing.'
        ) from error


def _sha256(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _arrow() -> tuple[ModuleType, ModuleType]:
    with needing('pyarrow', 'A store', StoreError):
        import pyarrow
        import pyarrow.parquet
    return pyarrow, pyarrow.parquet
