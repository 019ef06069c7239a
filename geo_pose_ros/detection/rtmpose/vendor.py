# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""rtmlib: where mmpose's model files lie. The only place that imports it."""

from __future__ import annotations

import contextlib
import io
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ...errors import DetectorError

_REMEDY = "Install it: pip install --no-deps 'rtmlib==0.0.16', or choose another detector."


def import_rtmlib(module: str = 'rtmlib') -> ModuleType:
    """Return rtmlib or one of its modules; raise DetectorError if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise DetectorError(f"Detector 'rtmpose': rtmlib cannot be imported ({error}). {_REMEDY}") from error


def addresses() -> dict[str, str]:
    """Return the addresses of mmpose's files by rtmlib's names (RTMO's: 'rtmo-...'); none without rtmlib."""
    try:
        body = import_rtmlib().Body
    except DetectorError:
        return {}
    modes = {**body.MODE, **{f'rtmo-{name}': entry for name, entry in body.RTMO_MODE.items()}}
    return {name: str(entry['pose']) for name, entry in modes.items()}


def download(url: str) -> Path:
    """Return the file of ``url``, fetched once; raise DetectorError if it cannot be had."""
    fetch = import_rtmlib('rtmlib.tools.file').download_checkpoint
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return Path(fetch(url))
    # rtmlib lets errors of network, disk and archive through as they are; all of them mean the same here.
    except Exception as error:
        raise DetectorError(
            f"Detector 'rtmpose': cannot fetch {url} ({error}). Download and unpack it by hand and set model to the "
            '.onnx file.'
        ) from error
