"""Data named on the command line: `h36m:PATH`, `mpi:PATH`, `bag:PATH`, `motion:PATH,rigs:JSON`, with options.

A specification is comma-separated `key:value`; the first key is the kind:

- `h36m:FOLDER[,keypoints:cpn_ft_h36m_dbb]`: Human3.6M in VideoPose3D's convention (h36m.py).
- `mpi:FOLDER`: MPI-INF-3DHP (mpi.py).
- `bag:BAG[,cameras:a+b][,frames:0-70][,skeleton:body17][,rig:FILE]`: keypoints or images of a recorded bag (bag.py).
- `motion:NPZ_OR_BVH_FOLDER,rigs:JSON[,only:rig1+rig2][,clips:a+c][,seed:0][,noise:off|FILE]`: mocap before real rigs
  (synthetic.py), the clips whose names begin with a/ or c/; `ceiling:SEED` instead of `rigs`: a rig made at random.
- `store:STORE[,aside:5]`: what `geo_pose store` keeps of many bags (store.py). Every fifth bag, from the second
  on, is the test part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.rigs.rig_file import load_rig
from geo_pose_ros.settings import build, flatten
from geo_pose_ros.simulation.cameras import ceiling_rig
from geo_pose_ros.simulation.detector import CLEAN, NoiseSettings
from geo_pose_ros.simulation.motion_files import load_motion

from .formats.h36m import load_h36m
from .formats.mpi import load_mpi_test, load_mpi_train
from .sequence import Sequence
from .store.shards import Shard, StoreError, open_store, read_whole
from .synthetic import SyntheticSettings, load_rigs, synthesise_all

Options = Mapping[str, str]


def load_data(specification: str, *, test: bool) -> list[Sequence]:
    """Return the training part of the data that ``specification`` names, or its test part.

    Raises:
        ConfigError: for an unknown kind or option, or if the data is not there.
    """
    options = parse_specification(specification)
    kind, path = next(iter(options.items()))
    load, _ = _KINDS[kind]
    return load(Path(path).expanduser(), options, test)


def store_shards(specification: str, *, test: bool) -> list[Shard]:
    """Return the shards of the training part, or of the test part, of a store that ``specification`` names.

    Raises:
        ConfigError: for an unknown option.
        StoreError: if the store cannot be read, or that part of it is empty.
    """
    options = parse_specification(specification)
    return _shards(Path(options['store']).expanduser(), options, test)


def is_store(specification: str) -> bool:
    """Return whether ``specification`` names a store, which is streamed."""
    return next(iter(parse_specification(specification))) == 'store'


def parse_specification(specification: str) -> dict[str, str]:
    """Return the `key:value` parts; raise ConfigError if a part is no such pair, or kind or option are unknown."""
    options: dict[str, str] = {}
    for part in specification.split(','):
        key, colon, value = part.partition(':')
        if not colon or not value or key in options:
            raise ConfigError(f"'{specification}': '{part}' is not one key:value; e.g. {_EXAMPLE}.")
        options[key] = value
    kind = next(iter(options))
    if kind not in _KINDS:
        raise ConfigError(f"'{specification}': unknown kind of data; known: {', '.join(_KINDS)}, e.g. {_EXAMPLE}.")
    known = _KINDS[kind][1]
    unknown = set(options) - known - {kind}
    if unknown:
        raise ConfigError(f"'{specification}': unknown option {sorted(unknown)}; {kind} knows {sorted(known)}.")
    return options


_EXAMPLE = 'motion:mocap17.npz,rigs:rigs.json'


def _h36m(path: Path, options: Options, test: bool) -> list[Sequence]:
    return load_h36m(path, test=test, keypoints=options.get('keypoints', 'cpn_ft_h36m_dbb'))


def _mpi(path: Path, options: Options, test: bool) -> list[Sequence]:
    return load_mpi_test(path) if test else load_mpi_train(path)


def _bag(path: Path, options: Options, test: bool) -> list[Sequence]:
    # Bags are read by another optional dependency (rosbags).
    from .bag import load_people, parse_range

    cameras = tuple(options['cameras'].split('+')) if 'cameras' in options else ()
    rig = load_rig(Path(options['rig']).expanduser()) if 'rig' in options else None
    return load_people(
        path, cameras=cameras, frames=parse_range(options.get('frames', '')),
        skeleton=options.get('skeleton', 'body17'), rig=rig,
    )


def _motion(path: Path, options: Options, test: bool) -> list[Sequence]:
    if ('rigs' in options) == ('ceiling' in options):
        raise ConfigError(f"Motion needs rigs to be seen by: add rigs:JSON, e.g. {_EXAMPLE}, or ceiling:SEED.")
    if 'ceiling' in options:
        rigs = {'ceiling': ceiling_rig(int(options['ceiling']))}
    else:
        rigs = load_rigs(Path(options['rigs']).expanduser())
    if 'only' in options:
        missing = set(options['only'].split('+')) - set(rigs)
        if missing:
            source = options.get('rigs', 'ceiling')
            raise ConfigError(f"'{source}' has no rig {sorted(missing)}; it has: {', '.join(rigs)}.")
        rigs = {name: rigs[name] for name in options['only'].split('+')}
    clips = [clip for clip in load_motion(path) if clip.validation == test]
    if 'clips' in options:
        sources = tuple(f'{source}/' for source in options['clips'].split('+'))
        clips = [clip for clip in clips if clip.name.startswith(sources)]
    if not clips:
        raise ConfigError(f"'{path}' has no {'validation' if test else 'training'} clips.")
    settings = SyntheticSettings(noise=_noise(options.get('noise', '')))
    return synthesise_all(clips, rigs, settings, int(options.get('seed', '1' if test else '0')))


def _shards(path: Path, options: Options, test: bool) -> list[Shard]:
    aside = options.get('aside', '5')
    if not aside.isdigit() or int(aside) < 2:
        raise ConfigError(f'aside is {aside}; expected a number of 2 or more, 5: every fifth bag is the test part.')
    shards = open_store(path)
    # People of one bag are on one side.
    bags = list(dict.fromkeys(shard.bag for shard in shards))
    chosen = [shard for shard in shards if (bags.index(shard.bag) % int(aside) == 1) == test]
    if not chosen:
        raise StoreError(f"Store '{path}' holds one bag only, none to test on; add bags to it, or name other --data.")
    return chosen


def _store(path: Path, options: Options, test: bool) -> list[Sequence]:
    return [read_whole(shard) for shard in _shards(path, options, test)]


def _noise(name: str) -> NoiseSettings:
    """Return the noise that 'off', '' (the defaults) or a YAML file of `geo_pose fit-noise` name."""
    if name in ('', 'off'):
        return NoiseSettings() if not name else CLEAN
    path = Path(name).expanduser()
    if not path.is_file():
        raise ConfigError(f"Noise '{name}' does not exist; give off, or a file that `geo_pose fit-noise` wrote.")
    return build(NoiseSettings, flatten(yaml.safe_load(path.read_text(encoding='utf-8')) or {}))


_KINDS: Mapping[str, tuple[Callable[[Path, Options, bool], list[Sequence]], frozenset[str]]] = {
    'h36m': (_h36m, frozenset({'keypoints'})),
    'mpi': (_mpi, frozenset()),
    'bag': (_bag, frozenset({'cameras', 'frames', 'skeleton', 'rig'})),
    'store': (_store, frozenset({'aside'})),
    'motion': (_motion, frozenset({'rigs', 'ceiling', 'only', 'clips', 'seed', 'noise'})),
}
