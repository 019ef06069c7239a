# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What the launch files make of their arguments."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ...errors import ConfigError


def refuse_renamed(given: Mapping[str, str], renamed: Mapping[str, str]) -> None:
    """Raise ConfigError for an argument of an old name; ``renamed`` has the new ones. Launch would ignore it."""
    for old, new in renamed.items():
        if old in given:
            raise ConfigError(f"Launch argument '{old}': it is called '{new}' now. Write {new}:={given[old]}")


def ros_parameters(given: Mapping[str, str]) -> dict[str, bool | str]:
    """Return the arguments that are not empty as parameters: `true` and `false` as bool.

    Raises:
        ConfigError: if ``use_sim_time`` or ``autostart`` is something else.
    """
    found: dict[str, bool | str] = {}
    for name, text in given.items():
        if name in ('use_sim_time', 'autostart') and text:
            if text.lower() not in ('true', 'false'):
                raise ConfigError(f"Launch argument '{name}': received '{text}', expected true or false.")
            found[name] = text.lower() == 'true'
        elif text:
            found[name] = text
    return found


def rviz_in(namespace: str, config: str) -> str:
    """Return the path of RViz's configuration ``config`` with pose_node's topics in ``namespace``: a copy of it."""
    if not namespace.strip('/'):
        return config
    text = Path(config).read_text(encoding='utf-8').replace('/pose_node/', f'/{namespace.strip("/")}/pose_node/')
    with tempfile.NamedTemporaryFile(
        'w', prefix='geo_pose_', suffix='.rviz', delete=False, encoding='utf-8'
    ) as copy:
        copy.write(text)
    return copy.name
