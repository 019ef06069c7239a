# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The round from a running node to a better lifter in it; the live part is `make loop`."""


import json
import sys

import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.commands import loop as command
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.demo import live, loop
from geo_pose_ros.demo.live import Material
from geo_pose_ros.demo.loop import Exchange, read_exchange
from geo_pose_ros.errors import BagError
from geo_pose_ros.messages.skeleton import skeleton_to_message
from geo_pose_ros.skeleton import BODY17

from ..evaluation.moving import bodies_at
from ..scenes import person, ring_rig

MAKE, RIG = RosbagsFactory(), ring_rig(2)


def record(path, *events):
    """Write a bag of events, one a millisecond: ids of a set, or the hash of a model."""
    with BagWriter(path) as writer:
        for number, event in enumerate(events):
            if isinstance(event, str):
                writer.write('/pose_node/skeleton', skeleton_to_message(MAKE, BODY17, RIG, '', event), 10**6 * number)
            else:
                writer.write_bodies(bodies_at(number, [person()] * len(event), event), 10**6 * number)
    return path


def test_a_recording_tells_who_was_lost_when_the_lifter_changed(tmp_path):
    found = read_exchange(record(tmp_path / 'a', 'old', [1, 2], [1, 2, 3], 'old', 'new', [1, 3, 4], [1, 2]))
    assert found == Exchange('old', 'new', 2, 2, (1, 3), (2,))
    with pytest.raises(BagError, match='lifted by 1 models, expected 2'):
        read_exchange(record(tmp_path / 'b', 'old', [1], [1]))
    with pytest.raises(BagError, match=r'1 sets before and 0 after the lifter changed; .*Lower --rate'):
        read_exchange(record(tmp_path / 'c', 'old', [1], 'new'))


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Let all commands note their words and end at once; the node ends by a signal."""
    noted = tmp_path / 'noted'
    script = (
        'import sys, time\n'
        f"open({str(noted)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))\n"
        "if sys.argv[1] == 'node' or '--loop' in sys.argv or sys.argv[1] == 'record': time.sleep(60)\n"
        "if sys.argv[1] == 'evaluate': print('measured')\n"
    )
    for module in (live, loop):
        monkeypatch.setattr(module, 'geo_pose', lambda command: [sys.executable, '-c', script, command])
    monkeypatch.setattr(loop, 'prepare', lambda out, scene: Material(out / 'bag', RIG, ('/cam0/image_raw',), 0))
    monkeypatch.setattr(loop, '_LATE_S', 0.5)
    monkeypatch.setattr(loop, 'read_exchange', lambda bag: Exchange('old', 'new', 5, 6, (1,), ()))
    return noted


def test_the_round_and_what_it_tells(commands, tmp_path, capfd):
    (tmp_path / 'model.onnx').touch()
    (tmp_path / 'model_report_1').mkdir()
    parser = Parser()
    command.add_arguments(parser)
    arguments = parser.parse_args(['--out', str(tmp_path), '--rate', '0.5', '--held-out', 'cam1'])
    assert command.run(arguments) == 0
    assert not (tmp_path / 'model.onnx').exists()
    words = commands.read_text().splitlines()
    assert {line.split()[0] for line in words} == {'node', 'record', 'play', 'retrain', 'reload', 'evaluate'}
    (retrain,) = [line for line in words if line.startswith('retrain')]
    assert f'--bag {tmp_path}/before --rig {tmp_path}/rig.yaml --held-out cam1 --frames 0-60' in retrain
    # A run is not written over.
    assert f'--report {tmp_path}/model_report_2' in retrain
    evaluations = [line for line in words if line.startswith('evaluate')]
    assert len(evaluations) == 2
    # JSON is YAML, which --data takes.
    data = json.dumps({'bag': str(tmp_path / 'after'), 'rig': str(tmp_path / 'rig.yaml')})
    assert all(f'--data {data} ' in line for line in evaluations)
    assert json.loads((tmp_path / 'loop.json').read_text())['bodies_kept'] == [1]
    said = capfd.readouterr().out
    assert said.splitlines().count('measured') == 2
    assert 'from old to new between two sets (5 before, 6 after): 1 bodies kept, 0 lost' in said
