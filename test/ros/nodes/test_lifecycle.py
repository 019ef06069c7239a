# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Transitions, parameters, and start-up faults of pose_node."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from geo_pose_ros.errors import ConfigError, GeoPoseError
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.io import parameters
from geo_pose_ros.ros.io.parameters import shared_names
from geo_pose_ros.ros.io.qos import UnsupportedEventTypeError
from geo_pose_ros.ros.nodes.pose_node import PoseNode
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.scene.settings import SyncConfig
from geo_pose_ros.settings import build, flatten, to_ros_yaml, walk
from test.ros.harness import World, small_rig, until, world

ROOT = Path(__file__).parents[3]


def call(w: World, kind: Any, name: str, request: Any) -> Any:
    client = w.tester.create_client(kind, f'/pose_node/{name}')
    until(client.service_is_ready, f'service {name}')
    future = client.call_async(request)
    until(future.done, f'answer of {name}')
    return future.result()


def change(w: World, transition: int) -> bool:
    return bool(call(w, ChangeState, 'change_state', ChangeState.Request(transition=Transition(id=transition))).success)


def state(w: World) -> str:
    return str(call(w, GetState, 'get_state', GetState.Request()).current_state.label)


def test_transitions_do_and_undo(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path, autostart=False) as w:
        assert state(w) == 'unconfigured'
        assert change(w, Transition.TRANSITION_CONFIGURE)
        assert state(w) == 'inactive'
        w.reported('pipeline', 'not active')
        assert w.node.get_subscriptions_info_by_topic('cam0/keypoints') == []
        for _ in range(2):
            assert change(w, Transition.TRANSITION_ACTIVATE)
            w.new_bodies(3, views=4)
            assert change(w, Transition.TRANSITION_DEACTIVATE)
            until(lambda: not w.node.get_subscriptions_info_by_topic('cam0/keypoints'), 'unsubscribed')
        w.reported('pipeline', 'not active')
        assert change(w, Transition.TRANSITION_CLEANUP)
        assert state(w) == 'unconfigured'
        until(lambda: not w.node.get_publishers_info_by_topic('/pose_node/bodies'), 'no publisher')
        assert change(w, Transition.TRANSITION_CONFIGURE)
        assert change(w, Transition.TRANSITION_ACTIVATE)
        w.new_bodies(3)
        assert change(w, Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert state(w) == 'finalized'


def held(w: World) -> dict[str, list[str]]:
    """Return what the node and this process hold."""
    return {
        'threads': sorted(thread.name for thread in threading.enumerate()),
        'subscriptions': sorted(each.topic_name for each in w.node.subscriptions),
        'publishers': sorted(each.topic_name for each in w.node.publishers),
        'services': sorted(each.srv_name for each in w.node.services),
        'timers': ['timer'] * len(list(w.node.timers)),
    }


def test_nothing_is_left_of_a_refused_configure_which_can_be_repeated(
    rig_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', None)
    with world('keypoints', rig_path=rig_path, autostart=False, publish_humans=True) as w:
        before = held(w)
        assert not change(w, Transition.TRANSITION_CONFIGURE)
        assert 'publish_humans needs the ROS package tf2_msgs' in str(w.node.fault)
        assert held(w) == before and state(w) == 'unconfigured'
        # Nor of one that went well and was undone.
        w.node.set_parameters([Parameter('publish_humans', value=False)])
        assert change(w, Transition.TRANSITION_CONFIGURE)
        assert held(w) != before
        assert change(w, Transition.TRANSITION_CLEANUP)
        assert held(w) == before


def test_a_transition_in_another_thread_waits_for_the_report(rig_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with world('keypoints', rig_path=rig_path) as w:
        w.new_bodies(2, views=4)
        session = w.node._session
        seen: list[bool] = []

        def undo() -> None:
            assert w.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
            assert w.node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS

        def note(*_: Any) -> str:
            # In the midst of a report. Unguarded, the transition would be over by the end of the wait.
            if not seen:
                thread.start()
                thread.join(0.3)
                seen.append(session._polled is not None)
            return ''

        thread = threading.Thread(target=undo)
        monkeypatch.setattr(session._source, 'camera_info_note', note)
        until(lambda: seen, 'a report')
        thread.join()
        assert seen == [True]
        assert w.node._session is None
        # A timer that was about to fire finds nothing to do.
        session._tick()
        session.apply(w.node.config)


def test_autostart_says_why_it_cannot(rig_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with world('keypoints', rig_path=rig_path, autostart=False) as w:
        assert w.node.on_activate(None) == TransitionCallbackReturn.FAILURE
        assert str(w.node.fault) == 'pose_node is not configured.'
        monkeypatch.setattr(PoseNode, 'SESSION', lambda *a: 1 / 0)
        with pytest.raises(ConfigError, match='did not start; the log says why'):
            w.node.autostart()
        # What nobody expected is an error, and undone.
        assert w.node.trigger_configure() == TransitionCallbackReturn.ERROR
        assert state(w) == 'unconfigured'


def test_a_middleware_that_does_not_count_losses(rig_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create = PoseNode.create_subscription

    def without_losses(self: PoseNode, *args: Any, **kwargs: Any) -> Any:
        if getattr(kwargs.get('event_callbacks'), 'message_lost', None) is not None:
            raise UnsupportedEventTypeError('no such event')
        return create(self, *args, **kwargs)

    monkeypatch.setattr(PoseNode, 'create_subscription', without_losses)
    with world('keypoints', rig_path=rig_path) as w:
        w.new_bodies(2, views=4)


@pytest.mark.parametrize('called', ['inputs.header_stamp_ns', 'outputs.bodies_to_cloud'], ids=['inputs', 'worker'])
def test_a_crash_of_a_thread_is_noticed(rig_path: str, monkeypatch: pytest.MonkeyPatch, called: str) -> None:
    with world('keypoints', rig_path=rig_path) as w:
        w.new_bodies(1)
        monkeypatch.setattr(f'geo_pose_ros.ros.nodes.{called}', lambda *a: 1 / 0)
        until(lambda: w.node.crashed, 'crashed')


def test_parameters_are_described_and_checked(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path, autostart=False) as w:
        names = ['sync.tolerance_ms', 'queue_depth', 'transport', 'annotated_max_side_px']
        tolerance, depth, transport, drawn = call(
            w, DescribeParameters, 'describe_parameters', DescribeParameters.Request(names=names)
        ).descriptors
        assert tolerance.type == ParameterType.PARAMETER_DOUBLE
        assert tolerance.description.startswith('Largest difference') and tolerance.description.endswith('[ms]')
        ranges = [(r.from_value, r.to_value) for r in tolerance.floating_point_range]
        assert ranges == [(0.0, 1000.0)]
        assert [(r.from_value, r.to_value) for r in depth.integer_range] == [(1, 100)]
        assert 'one of raw, compressed, keypoints' in transport.description
        assert drawn.description.endswith('[px, at run time too]')

        def set_to(name: str, value: Any) -> Any:
            request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
            return call(w, SetParameters, 'set_parameters', request).results[0]

        assert set_to('queue_depth', 7).successful
        assert w.node.config.queue_depth == 7
        for name, value in (('queue_depth', 0), ('sync.tolerance_ms', -1.0), ('transport', 'telepathy')):
            assert not set_to(name, value).successful
        assert set_to('cameras', ['cam0', 'cam1']).successful
        assert w.node.config.cameras == ('cam0', 'cam1')
        assert change(w, Transition.TRANSITION_CONFIGURE)
        refused = set_to('queue_depth', 8)
        assert not refused.successful
        assert refused.reason == 'this parameter is read at configure; deactivate and clean up first'
        # A live one is taken, and checked as any other.
        assert set_to('annotated_max_side_px', 128).successful
        until(lambda: w.node._session._outputs._config.annotated_max_side_px == 128, 'the outputs have it')
        assert w.node._session._config.annotated_max_side_px == 128
        assert not set_to('annotated_max_side_px', 1).successful


def test_every_setting_is_a_parameter_with_its_default() -> None:
    # A whole number is taken for a float.
    node = PoseNode(parameter_overrides=[Parameter('sync.deadline_ms', value=50)])
    try:
        assert node.config == NodeConfig(sync=SyncConfig(deadline_ms=50.0))
        assert all(node.has_parameter(setting.name) for setting in walk(NodeConfig))
    finally:
        node.destroy_node()


def test_the_parameter_file_is_the_config() -> None:
    path = ROOT / 'config' / 'pose_node.yaml'
    text = path.read_text(encoding='utf-8')
    remedy = 'run: python -m geo_pose_ros.ros.io.parameters > config/pose_node.yaml'
    assert text == to_ros_yaml(NodeConfig, parameters.NODE_KEY, parameters.YAML_HEADER), remedy
    tree = yaml.safe_load(text)[parameters.NODE_KEY]['ros__parameters']
    assert build(NodeConfig, flatten(tree)) == NodeConfig()


def run_node(*arguments: str) -> subprocess.Popen[str]:
    """Return the process of a pose_node."""
    return subprocess.Popen(
        [sys.executable, '-m', 'geo_pose_ros.ros.nodes.pose_node', '--ros-args', *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['int', 'term'])
def test_a_signal_ends_it_in_order_and_more_of_them_change_nothing(rig_path: str, number: signal.Signals) -> None:
    node = run_node('-p', f'rig:={rig_path}', '-p', 'transport:=keypoints', '-p', 'pipeline.lifter.enabled:=false')
    try:
        # Kernels may have to be compiled first, which is said.
        assert any('active: 4 cameras' in line for line in node.stderr)
        node.send_signal(number)
        if number == signal.SIGINT:
            # Ctrl-C of a terminal reaches the node itself, and launch passes it on.
            until(lambda: node.send_signal(number) or node.poll() is not None, 'it ends')
        assert node.wait(30) == 0
        assert '0 frames in, 0 sets published, frames dropped: none' in node.stderr.readline()
        assert node.stderr.read() == ''
    finally:
        node.kill()
        node.communicate()


@pytest.mark.parametrize('command', [
    pytest.param('from geo_pose_ros.ros.start import pose_node as run; ', id='pose_node'),
    pytest.param('from geo_pose_ros.ros.start import detector_node as run; ', id='detector_node'),
    pytest.param("from geo_pose_ros.cli import main; run = lambda: main(['node']); ", id='geo_pose node'),
])
def test_a_signal_while_it_imports_ends_it_without_a_word(command: str) -> None:
    # The import of rclpy stands for any: the signal comes in the midst of it.
    interrupted = 'import signal, sys; sys.meta_path.insert(0, type("At", (), {"find_spec": staticmethod(' \
        'lambda name, *_: signal.raise_signal(signal.SIGINT) if name == "rclpy" else None)})); run()'
    done = subprocess.run(
        [sys.executable, '-c', command + interrupted], cwd=ROOT, capture_output=True, text=True, check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, '', '')


@pytest.mark.parametrize(
    ('text', 'words'),
    [('pose_node: {ros__parameters: {queue_depth: 2}}', 'No cameras. Name them'), ('{', 'parameter file: ')],
    ids=['configure', 'arguments'],
)
def test_a_start_up_fault_is_one_line_and_an_exit_status(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / 'parameters.yaml').write_text(f'{text}\n', encoding='utf-8')
    node = run_node('--params-file', str(tmp_path / 'parameters.yaml'))
    out, said = node.communicate(timeout=60)
    assert (node.returncode, out) == (1, '')
    (line,) = said.strip().splitlines()
    assert words in line


def start(*arguments: str) -> str:
    """Return why a pose_node with these ROS arguments does not start."""
    node = None
    try:
        node = PoseNode(cli_args=['--ros-args', *arguments])
        node.autostart()
    except GeoPoseError as error:
        return str(error)
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
    return ''


TWO = ('-p', "cameras:=['a','b']")


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        pytest.param(arguments, words, id=name) for name, arguments, words in (
            ('no rig', ['-p', 'rig:=/nowhere/rig.yaml'], "Calibration '/nowhere/rig.yaml' cannot be read"),
            ('unknown', ['-p', 'queue:=3'], "Unknown parameter 'queue'."),
            ('bounds', ['-p', 'queue_depth:=0'], "Parameter 'queue_depth': received 0, expected 1 .. 100"),
            ('type', ['-p', 'queue_depth:=two'], "Parameter 'queue_depth': received 'two', expected a int"),
            ('field', [*TWO, '-p', 'image_topic:=/x/{name}'], 'the only field is {camera}'),
            ('shared', [*TWO, '-p', 'image_topic:=picture'],
             "The cameras a, b share the topic '/picture/compressed'. Put {camera} into its template"),
            ('nobody', [*TWO, '-p', "image_topics:=['c=/x']"],
             "Parameter 'image_topics': received 'c=/x', expected camera=topic with one of the cameras a, b."),
            ('no topic', [*TWO, '-p', "image_topics:=['a']"],
             "Parameter 'image_topics': received 'a', expected camera=topic"),
            ('name', ['-p', "cameras:=['a-1']"], "Camera 'a-1', topic template '{camera}/image_raw': Invalid topic"),
            ('slash', ['-p', "cameras:=['/a']"], "'/a', topic template '/pose_node/keypoints/{camera}': Invalid topic"),
            ('as generated', ['--params-file', str(ROOT / 'config' / 'pose_node.yaml')], 'No cameras. Name them'),
        )
    ],
)
def test_what_is_wrong_at_the_start_is_said(arguments: list[str], words: str) -> None:
    said = start(*arguments)
    assert words in said and '\n' not in said


def test_a_rig_file_that_is_wrong_is_said(tmp_path: Path) -> None:
    (tmp_path / 'bad.yaml').write_text('world_frame_id: world\ncameras: {}\ncolour: red\n', encoding='utf-8')
    assert "unknown key ['colour']" in start('-p', f'rig:={tmp_path / "bad.yaml"}')
    far = small_rig().with_poses(lambda pose: pose * (1.0, 1.0, 1.0, 1e3))
    (tmp_path / 'mm.yaml').write_text(dump_rig(far), encoding='utf-8')
    assert 'it looks like mm' in start('-p', f'rig:={tmp_path / "mm.yaml"}', '-p', 'transport:=keypoints')


def test_a_foreign_parameter_for_all_nodes_is_left_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'shared.yaml'
    path.write_text(
        '/**:\n  ros__parameters: {robot_description: x, arm: {gain: 1.0}, queue_depth: 3}\n', encoding='utf-8'
    )
    assert 'No cameras. Name them' in start('--params-file', str(path))
    assert 'does not know, and leaves alone: arm.gain, robot_description' in capfd.readouterr().err
    # The same name for this node is a typing error.
    path.write_text(path.read_text() + 'pose_node:\n  ros__parameters: {robot_description: x}\n', encoding='utf-8')
    assert "Unknown parameter 'robot_description'." in start('--params-file', str(path))


def test_which_parameters_are_for_all_nodes(tmp_path: Path) -> None:
    path, other = tmp_path / 'a.yaml', tmp_path / 'b.yaml'
    path.write_text(
        'robot:\n  "*":\n    ros__parameters: {a: 1, b: {c: 2}}\n/**/pose_node:\n  ros__parameters: {d: 1}\n'
    )
    other.write_text('/**:\n  ros__parameters: {d: 1, e: 2}\n')
    words = ['--ros-args', '--params-file', str(path), '--params-file', str(other)]
    assert shared_names(words) == {'a', 'b.c', 'e'}
    other.write_text('{')
    assert shared_names(words, ['--params-file'], ['--params-file', '/nowhere']) == {'a', 'b.c'}


def test_what_is_not_installed_is_said(rig_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'rtmlib', None)
    said = start('-p', f'rig:={rig_path}', '-p', 'pipeline.detector.name:=rtmpose')
    assert "Detector 'rtmpose': rtmlib" in said
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', None)
    said = start(*TWO, '-p', 'transport:=keypoints')
    assert 'tf2_msgs' in said and 'give a rig file with rig:=' in said
