# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Profiles: which networks run where the settings leave it open, chosen from the machine and the rate asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..settings import DetectorConfig


@dataclass(frozen=True, slots=True)
class Profile:
    """Networks by their names in the catalogue.

    Attributes:
        keypoints: reads one person.
        finders: search images for people; the first one finds most.
        image_ms: of one core for an image of one person; nominal, only the ratios are alike on all machines.
    """

    keypoints: str
    finders: tuple[str, ...]
    image_ms: float


# Rate of cameras of which nobody says it.
_LIKELY_HZ = 30.0
# Share of the cores that the detection of people may take in images that come in.
_MOST_LOAD = 0.7
# The better one's regions first.
_BOTH = ('movenet_multipose', 'blazepose_person')
PROFILES: Mapping[str, Profile] = {
    'fast': Profile('blazepose_full', _BOTH[1:], 15.0),
    'balanced': Profile('blazepose_full', _BOTH, 20.0),
    'accurate': Profile('blazepose_heavy', _BOTH, 60.0),
}


def choose_profile(config: DetectorConfig, live_cameras: int = 0) -> tuple[DetectorConfig, str]:
    """Return ``config`` with its profile chosen, and in words which networks run and why.

    Args:
        config: a profile other than 'auto' stays.
        live_cameras: how many send images that are to be detected as they come; 0: of a bag, which waits.
    """
    if config.name not in ('blazepose', 'movenet'):
        return config, f"detector '{config.name}'"
    reason = 'as set'
    if config.profile == 'auto':
        profile, reason = _choose(config, live_cameras)
        config = replace(config, profile=profile)
    keypoints, finders = networks_of(config)
    networks = f'{keypoints}, people by {" and ".join(finders)}'
    return config, f"detector '{config.name}', {config.profile} ({reason}): {networks}"


def networks_of(config: DetectorConfig) -> tuple[str, tuple[str, ...]]:
    """Return the keypoint network and the finders of people: the settings' own, else the profile's; names or paths.

    Profile 'auto' is that of one live camera.
    """
    profile = PROFILES[_choose(config, 1)[0] if config.profile == 'auto' else config.profile]
    own = 'movenet_thunder' if config.name == 'movenet' else profile.keypoints
    return config.model or own, (config.person_model,) if config.person_model else profile.finders


def _choose(config: DetectorConfig, live_cameras: int) -> tuple[str, str]:
    if not live_cameras:
        return 'accurate', 'a bag waits for it'
    if config.engine.engine == 'tensorrt' or config.engine.device == 'cuda':
        return 'accurate', 'on a GPU'
    cores, rate_hz = config.workers or os.cpu_count() or 1, config.rate_hz or _LIKELY_HZ
    # Full stays on a CPU: robots have other work for it than heavy.
    load = live_cameras * rate_hz * PROFILES['balanced'].image_ms / 1e3 / cores
    name = 'balanced' if load <= _MOST_LOAD else 'fast'
    return name, f'{live_cameras} live cameras, {rate_hz:g} Hz, {cores} cores'
