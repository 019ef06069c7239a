# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""camera_info that changes while the node runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.ros.nodes import rig_source
from test.ros.harness import HEIGHT, MAKE, PERSON, RIG, WIDTH, Console, World, picture, world

CAMERA = 'cam3'
LENS = RIG[CAMERA].intrinsics


def use_lens(w: World, xy: FloatArray, factor: float, side: float = 1.0) -> None:
    """Let the camera send images of ``factor`` times the focal length, on ``side`` times the pixels."""
    centre = LENS.K[:2, 2]
    moved = (centre + factor * (xy - centre) + 0.5) * side - 0.5
    K = LENS.K.copy()
    K[[0, 1], [0, 1]] *= factor
    K[:2] *= side
    K[:2, 2] += (side - 1.0) / 2.0
    size = round(side * WIDTH), round(side * HEIGHT)
    lens = replace(LENS, K=K, width=size[0], height=size[1])
    w.cameras.png[CAMERA] = cv2.imencode('.png', picture(moved, *size))[1].tobytes()
    w.cameras.info[CAMERA] = lambda ns: camera_info_from_intrinsics(MAKE, lens, ns, RIG[CAMERA].frame_id)


def test_another_lens_is_taken_and_people_stay(tell_transforms: Callable[[], None]) -> None:
    with world('compressed', cameras=list(RIG.names)) as w:
        tell_transforms()
        console = Console(w)
        xy = w.cameras.xy[CAMERA].copy()
        seen = w.new_bodies(3, views=4)
        for factor, side, words in (
            (0.8, 1.0, f'focal lengths {LENS.K[0, 0]:.1f} {LENS.K[1, 1]:.1f} px'),
            (1.0, 2.0, f'{2 * WIDTH} x {2 * HEIGHT} px'), (1.0, 1.0, '-> frame'),
        ):
            use_lens(w, xy, factor, side)
            console.says(f'camera {CAMERA}: another lens from now on', words)
            # Until what was of the lens before is gone.
            w.new_bodies(5, views=4)
            seen += w.new_bodies(5, views=4)
            np.testing.assert_allclose(seen[-1].xyz[0], PERSON, atol=0.01)
        assert {int(bodies.body_ids[0]) for bodies in seen} == {0}


def test_who_sent_a_few_is_not_missed() -> None:
    heard = rig_source._CameraInfos('/left/camera_info')
    assert heard.is_news(b'4 and stamp!same', 10**9)
    assert not heard.is_news(b'4 and other!same', 2 * 10**9)
    assert heard.overdue_s(10**12) == 0.0
    for second in range(3, 7):
        assert heard.is_news(b'4 and stamp!other' + bytes([second]), second * 10**9)
    assert heard.overdue_s(9 * 10**9) == 0.0
    assert heard.overdue_s(10 * 10**9) == pytest.approx(4.0)
