# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A session's folder: which bags it has, and what is exported of them."""

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.cli import main
from geo_pose_ros.errors import BagError
from geo_pose_ros.messages.clouds.details import details_to_cloud
from geo_pose_ros.session.folder import bags_of, load

from ..export.two_people import PERIOD_NS as BODIES_NS
from ..export.two_people import bodies_at, two_people
from ..recorded import FRAMES, PERIOD_NS, START_NS, write_scene


def write_bodies(path, count=FRAMES, people=True):
    make = RosbagsFactory()
    with BagWriter(path) as writer:
        for number in range(count):
            bodies = bodies_at(number, START_NS - (int(BODIES_NS) - PERIOD_NS) * number)
            if not people:
                bodies = bodies.select(np.zeros(len(bodies), bool))
            writer.write_bodies(bodies)
            writer.write('/pose_node/details', details_to_cloud(make, bodies), bodies.stamp_ns)
    return path


@pytest.fixture
def session(tmp_path):
    write_scene(tmp_path / 'walk' / 'images')
    write_bodies(tmp_path / 'walk' / 'processed')
    return tmp_path / 'walk'


def test_a_session_is_read_with_its_covariances(session):
    assert bags_of([session]) == [session / 'processed', session / 'images']
    for given in (session, str(session), [session / 'processed']):
        bodies = load(given)
        truth = two_people(range(FRAMES))
        np.testing.assert_allclose(bodies.xyz, truth.xyz, atol=1e-6)
        np.testing.assert_allclose(bodies.covariance, truth.covariance, rtol=1e-6)
        assert bodies.stamps_ns.tolist() == [START_NS + PERIOD_NS * number for number in range(FRAMES)]


def test_a_place_without_a_session_or_bodies_is_refused(session, tmp_path):
    with pytest.raises(BagError, match=r"no session or bag at 'none'"):
        load('none')
    with pytest.raises(BagError, match=r'has no body in 5 sets; run geo_pose process'):
        load(write_bodies(tmp_path / 'nobody', people=False))


def test_the_command_writes_files_once(session, capsys):
    assert main(['export', str(session), '--to', 'csv,trc']) == 0
    written = sorted(path.name for path in (session / 'export').iterdir())
    assert written == ['walk.csv', 'walk_P4.trc', 'walk_angles.csv']
    assert capsys.readouterr().out.split() == [
        str(session / 'export' / name) for name in ('walk.csv', 'walk_angles.csv', 'walk_P4.trc')]
    assert main(['export', str(session), '--to', 'csv']) == 2
    assert 'has files already; replace them with --overwrite' in capsys.readouterr().err
    assert main(['export', str(session / 'processed'), '--to', 'bvh', '--overwrite']) == 0
    assert (session / 'processed_export' / 'processed_P4.bvh').is_file()
    assert main(['export', 'model.onnx']) == 2
    assert 'a lifter is exported by: geo_pose models export model.onnx' in capsys.readouterr().err
