# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fast DDS settings that carry several cameras' images; no rclpy needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PROFILE = Path(__file__).with_name('fastdds.xml')
# The name of the variable up to Fast DDS 2 and since Fast DDS 3, which warns of the old one.
_OLD_VARIABLE, _VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
_WITH_FAST_DDS_2 = ('humble', 'iron', 'jazzy')


def large_data_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add to ``environment`` so that Fast DDS carries bursts of images.

    Empty if the user chose a middleware, a profile file or a transport other than LARGE_DATA. LARGE_DATA alone is
    not enough: its shared memory is as small, and rmw_fastrtps ignores it where discovery is limited to this host.
    """
    chosen = (
        environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp') != 'rmw_fastrtps_cpp'
        or any(environment.get(name) for name in (_OLD_VARIABLE, _VARIABLE))
        or environment.get('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA') != 'LARGE_DATA'
    )
    if chosen:
        return {}
    return {_OLD_VARIABLE if environment.get('ROS_DISTRO') in _WITH_FAST_DDS_2 else _VARIABLE: str(PROFILE)}
