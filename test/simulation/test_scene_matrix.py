"""Rate x phase x loss x people, with default settings: bodies, ghosts and ids counted against exact truth."""

import pytest

from geo_pose_ros.simulation.metrics import measure
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import run

# Every value of every axis, and all pairs of rate and phase.
ROWS = [
    # rate Hz (0: 15, 30 and 60 mixed), phase, loss, people, cameras
    (30.0, 'trigger', 0.0, 1, 4),
    (30.0, 'half', 0.0, 1, 2),
    (30.0, 'random', 0.1, 2, 4),
    (60.0, 'trigger', 0.1, 2, 3),
    (0.0, 'random', 0.03, 2, 4),
    (0.0, 'trigger', 0.0, 1, 3),
]


@pytest.mark.parametrize(('rate_hz', 'phase', 'loss', 'people', 'cameras'), ROWS)
def test_everybody_is_one_body_with_one_id(rate_hz, phase, loss, people, cameras):
    scenario = Scenario(
        cameras=cameras, people=people, rate_hz=rate_hz, phase=phase, loss=loss, duration_s=2.0, seed=people,
        recorded=False,
    )
    found = measure(run(build(scenario)))
    assert found.recall >= 0.95
    assert found.ghosts <= 0.05
    assert found.ids <= 1.1
    assert found.mpjpe_m < 0.08
