# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Data sources: what `--data` names, as YAML: a file, or the text itself.

    --data '{motion: mocap17.npz, rigs: rigs.json, only: [h36m_S1, h36m_S5]}'
    --data sources.yaml        # a list of such entries
    --data bag:BAG             # short for {bag: BAG}

The first name of an entry is the kind of the source; a dataclass per kind states its options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.rigs.rig_file import load_rig
from geo_pose_ros.settings import build, flatten, setting
from geo_pose_ros.simulation.cameras import ceiling_rig
from geo_pose_ros.simulation.detector import CLEAN, NoiseSettings
from geo_pose_ros.simulation.motion_files import load_motion
from geo_pose_ros.types import CameraRig

from .formats.h36m import load_h36m
from .formats.mpi import load_mpi_test, load_mpi_train
from .recording import PersonRecording
from .store.shards import Shard, StoreError, open_store, read_recording
from .synthetic import load_rigs, synthesise


@dataclass(frozen=True, slots=True)
class Human36mSource:
    """Human3.6M as VideoPose3D prepares it (formats/h36m.py)."""

    h36m: str = setting('', 'Folder')
    keypoints: str = setting('cpn_ft_h36m_dbb', 'Name of the 2D file')

    def load(self, *, test: bool) -> list[PersonRecording]:
        """Return the recordings of S1, 5, 6, 7, 8, or of S9, 11."""
        return load_h36m(Path(self.h36m).expanduser(), test=test, keypoints=self.keypoints)


@dataclass(frozen=True, slots=True)
class MpiSource:
    """MPI-INF-3DHP (formats/mpi.py)."""

    mpi: str = setting('', 'Folder of the training set, or of the test set')

    def load(self, *, test: bool) -> list[PersonRecording]:
        """Return all recordings of the folder."""
        folder = Path(self.mpi).expanduser()
        return load_mpi_test(folder) if test else load_mpi_train(folder)


@dataclass(frozen=True, slots=True)
class BagSource:
    """Keypoints or images of a recorded bag (bag.py); both parts are the whole bag."""

    bag: str = setting('', 'Bag')
    cameras: tuple[str, ...] = setting((), 'Cameras; none named: all')
    frames: str = setting('', "Range of the sets, e.g. '0-70', the last not included; '' for all")
    skeleton: str = setting('body17', 'Skeleton of the keypoint topics')
    rig: str = setting('', 'Rig file; none: what the bag says')

    def load(self, *, test: bool) -> list[PersonRecording]:
        """Return a recording of each person in the bag."""
        # Bags are read by another optional dependency (rosbags).
        from .bag import load_people, parse_range

        return load_people(
            Path(self.bag).expanduser(), cameras=self.cameras, frames=parse_range(self.frames),
            skeleton=self.skeleton, rig=load_rig(Path(self.rig).expanduser()) if self.rig else None,
        )


@dataclass(frozen=True, slots=True)
class MotionSource:
    """Motion capture before rigs, seen by a noisy detector (synthetic.py); parts by the clips' validation flag."""

    motion: str = setting('', 'npz file, or folder of BVH files')
    rigs: str = setting('', 'JSON file of real rigs')
    ceiling: int = setting(-1, 'Instead of rigs: seed of a random rig under a ceiling; -1: none', low=-1)
    only: tuple[str, ...] = setting((), 'Names of rigs; none: all')
    clips: tuple[str, ...] = setting((), 'Folders of clips, as a for a/walk_1; none: all')
    seed: int = setting(-1, 'Seed of bodies and noise; -1: 0 to train, 1 to test', low=-1)
    noise: str = setting('default', "'default', 'none', or a YAML file of `geo_pose fit-noise`")
    people: str = setting(
        'usual', 'Usual people, children, or people whose every limb is the shortest or longest of 100',
        choices=('usual', 'children', 'extreme'),
    )

    def load(self, *, test: bool) -> list[PersonRecording]:
        """Return every clip before every rig."""
        rigs = self._rigs()
        clips = [clip for clip in load_motion(Path(self.motion).expanduser()) if clip.validation == test]
        if self.clips:
            clips = [clip for clip in clips if clip.name.startswith(tuple(f'{name}/' for name in self.clips))]
        if not clips:
            raise ConfigError(f"'{self.motion}' has no {'validation' if test else 'training'} clips.")
        noise, seed = self._noise(), int(test) if self.seed < 0 else self.seed
        return [synthesise(clip, name, rig, noise, seed, self.people) for name, rig in rigs.items() for clip in clips]

    def _rigs(self) -> dict[str, CameraRig]:
        if bool(self.rigs) == (self.ceiling >= 0):
            raise ConfigError('Motion needs rigs before which it is seen: give either rigs: JSON or ceiling: SEED.')
        rigs = load_rigs(Path(self.rigs).expanduser()) if self.rigs else {'ceiling': ceiling_rig(self.ceiling)}
        missing = set(self.only) - set(rigs)
        if missing:
            raise ConfigError(f"'{self.rigs or 'ceiling'}' has no rig {sorted(missing)}; it has: {', '.join(rigs)}.")
        return {name: rigs[name] for name in self.only or rigs}

    def _noise(self) -> NoiseSettings:
        if self.noise in ('default', 'none'):
            return CLEAN if self.noise == 'none' else NoiseSettings()
        path = Path(self.noise).expanduser()
        if not path.is_file():
            raise ConfigError(f"Noise '{self.noise}' does not exist; give none, or a file of `geo_pose fit-noise`.")
        return build(NoiseSettings, flatten(yaml.safe_load(path.read_text(encoding='utf-8')) or {}))


@dataclass(frozen=True, slots=True)
class StoreSource:
    """What `geo_pose store` keeps of many bags; streamed in training."""

    store: str = setting('', 'Folder of the store')
    aside: int = setting(5, 'One of this number of bags, by name and from the second on, is a test bag', low=2)

    def load(self, *, test: bool) -> list[PersonRecording]:
        """Return the recordings of a part as a whole, with their refined labels."""
        return [read_recording(shard) for shard in self.shards(test=test)]

    def shards(self, *, test: bool) -> list[Shard]:
        """Return the shards of the training part, or of the test part.

        Raises:
            StoreError: if the store cannot be read, or that part of it is empty.
        """
        shards = open_store(Path(self.store).expanduser())
        # People of one bag are on one side.
        bags = list(dict.fromkeys(shard.bag for shard in shards))
        chosen = [shard for shard in shards if (bags.index(shard.bag) % self.aside == 1) == test]
        if not chosen:
            raise StoreError(
                f"Store '{self.store}' holds one bag only, none to test on; add bags to it, or name other --data."
            )
        return chosen


Source = Human36mSource | MpiSource | BagSource | MotionSource | StoreSource
# By the name of the first field.
_KINDS: Mapping[str, type[Source]] = {
    'h36m': Human36mSource, 'mpi': MpiSource, 'bag': BagSource, 'motion': MotionSource, 'store': StoreSource,
}


def parse_sources(texts: Sequence[str]) -> list[Source]:
    """Return the sources that ``--data`` names: YAML files, YAML text, or KIND:PATH.

    Raises:
        ConfigError: for an unknown kind or option, or text that is neither.
    """
    return [source for text in texts for source in _parsed(text)]


def describe(source: Source) -> str:
    """Return the YAML text of a source, on one line, as ``--data`` takes it."""
    changed = {f.name: getattr(source, f.name) for f in fields(source) if getattr(source, f.name) != f.default}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}
    return yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=1 << 20).strip()


def load_all(sources: Sequence[Source], *, test: bool) -> list[PersonRecording]:
    """Return the training parts of all sources, or the test parts."""
    return [recording for source in sources for recording in source.load(test=test)]


def _parsed(text: str) -> list[Source]:
    content = text
    if text.endswith(('.yaml', '.yml')) and ':' not in text:
        path = Path(text).expanduser()
        if not path.is_file():
            raise ConfigError(f"Data '{text}' does not exist; expected a YAML file of data sources.")
        content = path.read_text(encoding='utf-8')
    try:
        tree = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ConfigError(f"Data '{text}' is no YAML: {error}; expected e.g. {_EXAMPLE}.") from error
    if isinstance(tree, str):
        kind, _, path_text = tree.partition(':')
        tree = {kind: path_text}
    made = []
    for entry in tree if isinstance(tree, list) else [tree]:
        kind = next(iter(entry), '') if isinstance(entry, dict) else ''
        if kind not in _KINDS or not entry[kind]:
            raise ConfigError(
                f"Data '{text}': expected the kind first, one of {', '.join(_KINDS)}, and its path, e.g. {_EXAMPLE}."
            )
        made.append(build(_KINDS[kind], entry))
    return made


_EXAMPLE = "'{motion: mocap17.npz, rigs: rigs.json}', or bag:BAG"
