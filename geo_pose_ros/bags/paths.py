"""Which paths are bags; nothing is opened, so that this is light to import."""

from __future__ import annotations

from pathlib import Path

from ..errors import BagError

_SUFFIXES = ('.mcap', '.db3')


def storage_files(path: Path) -> list[Path]:
    """Return the storage files of a bag: a folder (with none, if its metadata lists what is gone), or the file itself.

    Raises:
        BagError: if there is nothing, or something else.
    """
    if not path.exists():
        raise BagError(f"There is no bag at '{path}'. Give the folder that holds metadata.yaml.")
    if path.suffix == '.bag':
        raise BagError(f"'{path}' is a ROS 1 bag. Convert it: rosbags-convert --src {path} --dst {path.stem}")
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES)
        if not files and not (path / 'metadata.yaml').exists():
            raise BagError(f"'{path}' is not a bag: it holds no metadata.yaml and no .mcap or .db3 file.")
        return files
    if path.suffix not in _SUFFIXES:
        raise BagError(f"'{path}' is not a bag: expected a folder with metadata.yaml, an .mcap or a .db3 file.")
    return [path]


def is_bag(path: Path) -> bool:
    """Return whether ``path`` is a bag's folder, with metadata or storage files."""
    try:
        storage_files(path)
    except BagError:
        return False
    return path.is_dir()
