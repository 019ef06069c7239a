# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which files are bags, by content; what is none is named, with the command that makes one of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...errors import BagError

_SUFFIXES = ('.mcap', '.db3')
_START_BYTES = 16
# How files begin that are no bags, what they are, and what to do; {path} is the file, {whole} without its last suffix.
_OTHERS: Mapping[bytes, str] = {
    b'\x28\xb5\x2f\xfd': 'is compressed as a whole. Unpack it: zstd -d {path}, and give {whole}',
    b'\x1f\x8b': 'is compressed with gzip. Unpack it: gunzip -k {path}, and give {whole}',
    b'BZh': 'is compressed with bzip2. Unpack it: bunzip2 -k {path}, and give {whole}',
    b'\xfd7zXZ': 'is compressed with xz. Unpack it: xz -dk {path}, and give {whole}',
    b'\x04\x22\x4d\x18': 'is compressed with lz4. Unpack it: lz4 -d {path}, and give {whole}',
    b'PK\x03\x04': 'is a zip archive. Unpack it: unzip {path}, and give the folder that holds metadata.yaml',
    b'#ROSBAG V1': 'is a bag of a ROS older than 1.0. Convert it in ROS 1: rosbag fix {path} new.bag, and give new.bag',
    b'RIFF': 'is a video. Make a bag of it: geo_pose import --videos {path} --out BAG',
    b'\x1a\x45\xdf\xa3': 'is a video. Make a bag of it: geo_pose import --videos {path} --out BAG',
}
ROS1_BAG, _MCAP, _SQLITE = b'#ROSBAG V2.0', b'\x89MCAP0\r\n', b'SQLite format 3\0'


def is_ros1_bag(path: Path) -> bool:
    """Return whether a file is a bag of ROS 1."""
    return path.is_file() and _start(path).startswith(ROS1_BAG)


def storage_files(path: Path) -> list[Path]:
    """Return the storage files of a bag: a folder (with none, if its metadata lists what is gone), or the file itself.

    Raises:
        BagError: if there is nothing, or something else.
    """
    if not path.exists():
        raise BagError(f"There is no bag at '{path}'. Give the folder that holds metadata.yaml.")
    if path.is_dir():
        return _files_of_folder(path)
    if path.name == 'metadata.yaml':
        raise BagError(f"'{path}' is the metadata of a bag. Give its folder: {path.absolute().parent}")
    start = _start(path)
    if start.startswith(ROS1_BAG) and path.suffix != '.bag':
        raise BagError(
            f"'{path}' is a bag of ROS 1 that was not closed. Mend it in ROS 1: rosbag reindex {path}, and name it "
            '*.bag'
        )
    if start.startswith((ROS1_BAG, _MCAP, _SQLITE)) or (path.suffix in _SUFFIXES and not _other(path)):
        return [path]
    other = _other(path) or 'is not a bag: expected a folder with metadata.yaml, an .mcap, a .db3 or a .bag file.'
    raise BagError(f"'{path}' {other}")


def _files_of_folder(path: Path) -> list[Path]:
    children = sorted(path.iterdir())
    files = [child for child in children if child.suffix in _SUFFIXES]
    if files or (path / 'metadata.yaml').exists():
        return files
    packed = [child for child in children if child.suffix == '.zstd']
    if packed:
        raise BagError(
            f"'{path}' has no metadata.yaml, and its files are compressed as a whole. Unpack them: "
            f'zstd -d {path}/*.zstd --rm, and give the folder again'
        )
    ros1 = [child for child in children if is_ros1_bag(child)]
    if ros1:
        raise BagError(f"'{path}' holds bags of ROS 1. Give one of them: {', '.join(map(str, ros1))}")
    inside = [child for child in children if child.is_dir() and is_bag(child)]
    if inside:
        raise BagError(f"'{path}' is not a bag, but holds some. Give one of them: {', '.join(map(str, inside))}")
    raise BagError(f"'{path}' is not a bag: it holds no metadata.yaml and no .mcap or .db3 file.")


def _start(path: Path) -> bytes:
    with path.open('rb') as file:
        return file.read(_START_BYTES)


def _other(path: Path) -> str:
    """Return what a file is that is no bag, and what to do; '' if that is not known."""
    start = _start(path)
    kind = next((kind for magic, kind in _OTHERS.items() if start.startswith(magic)), '')
    if start[4:8] == b'ftyp':
        kind = _OTHERS[b'RIFF']
    whole = path.with_suffix('') if path.with_suffix('').suffix else path.with_suffix('.mcap')
    return kind.format(path=path, whole=whole)


def is_bag(path: Path) -> bool:
    """Return whether ``path`` is a bag's folder, with metadata or storage files."""
    if not path.is_dir():
        return False
    try:
        storage_files(path)
    except BagError:
        return False
    return True
