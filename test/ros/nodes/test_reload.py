# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Another lifter or detector in a running node: nobody is lost, and one that does not fit changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger

from geo_pose_ros.detection.models.catalogue import packaged
from geo_pose_ros.errors import BackendError, ConfigError, DetectorError
from geo_pose_ros.inference.model_card import GRAVITY_CONVENTION, ModelCard, card_path, default_model, save_card, sha256
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.nodes import detector_node, model_changes, pose_node
from geo_pose_ros.ros.tools.reload import reload_model
from test.inference.onnx_models import gravity_lifter, temporal_lifter
from test.ros.harness import World, until, world
from test.ros.nodes.test_detector_node import detecting
from test.ros.nodes.test_lifecycle import call

SHIPPED = sha256(default_model())


def lifter(path: Path, frames: int = 1, **changed: Any) -> Path:
    """Write a lifter and its card."""
    made = gravity_lifter(path) if frames == 1 else temporal_lifter(path, frames)
    about = {
        'skeleton': 'body17', 'receptive_field': frames, 'causal': False, 'root_joint': 'pelvis', 'licence': '',
        'acknowledgement': '', 'training': {}, 'metrics': {}, 'rate_hz': 30.0 if frames > 1 else 0.0, **changed,
    }
    if frames == 1:
        about = {'input_convention': GRAVITY_CONVENTION, **about}
    save_card(ModelCard(name=path.stem, sha256=sha256(made), **about), made)
    return made


def set_model(w: World, path: str, part: str = 'lifter') -> Any:
    value = Parameter(f'pipeline.{part}.model', value=path).to_parameter_msg()
    return call(w, SetParameters, 'set_parameters', SetParameters.Request(parameters=[value])).results[0]


def models(w: World) -> list[str]:
    """Listen to which models the node says that it lifts by."""
    said: list[str] = []
    w.listen(
        String, '/pose_node/skeleton', lambda m: said.append(json.loads(m.data)['model_card_hash']),
        profile(5, latched=True),
    )
    return said


def test_a_running_node_takes_another_lifter_and_loses_nobody(rig_path: str, tmp_path: Path, node: Node) -> None:
    with world('keypoints', rig_path=rig_path, pipeline__lifter__enabled=True) as w:
        said = models(w)
        (before,) = {int(b.body_ids[0]) for b in w.new_bodies(5, views=4)}
        other = lifter(tmp_path / 'other.onnx')
        assert reload_model(node, '/pose_node', other, 20.0) == sha256(other)
        until(lambda: said[-1:] == [sha256(other)], 'the other model')
        assert w.node.config.pipeline.lifter.model == str(other)
        assert {int(b.body_ids[0]) for b in w.new_bodies(5, views=4)} == {before}
        # The file is written anew, and read again.
        shutil.copy(default_model(), other)
        shutil.copy(card_path(default_model()), card_path(other))
        answer = call(w, Trigger, 'reload_model', Trigger.Request())
        assert (answer.success, answer.message) == (True, f'the next set is lifted by {SHIPPED[:12]}')
        until(lambda: said[-1:] == [SHIPPED], 'the model that ships')
        assert {int(b.body_ids[0]) for b in w.new_bodies(5, views=4)} == {before}
        assert all(b.body_ids.tolist() == [before] for b in w.bodies if len(b))


def test_a_model_that_does_not_fit_is_refused_and_the_old_one_goes_on(
    rig_path: str, tmp_path: Path, node: Node
) -> None:
    with world('keypoints', rig_path=rig_path, pipeline__lifter__enabled=True) as w:
        said = models(w)
        w.new_bodies(3, views=4)
        future = lifter(tmp_path / 'future.onnx', frames=3)
        torn = lifter(tmp_path / 'torn.onnx')
        torn.write_bytes(torn.read_bytes()[:-1])
        for path, words in ((tmp_path / 'none.onnx', 'does not exist'), (torn, 'they belong to different models')):
            refused = set_model(w, str(path))
            assert not refused.successful
            assert words in refused.reason
        with pytest.raises(ConfigError, match=r"'/pose_node' refuses .* and goes on .*: .*model\.causal true"):
            reload_model(node, '/pose_node', future, 20.0)
        with pytest.raises(BackendError, match='does not exist'):
            reload_model(node, '/pose_node', tmp_path / 'none.onnx', 20.0)
        with pytest.raises(ConfigError, match=r"'/nobody' did not answer within 0\.2 s"):
            reload_model(node, '/nobody', future, 0.2)
        assert w.node.config.pipeline.lifter.model == ''
        w.new_bodies(3, views=4)
        assert set(said) == {SHIPPED}
        other = lifter(tmp_path / 'other.onnx')
        taken = sha256(other)
        assert set_model(w, str(other)).successful
        until(lambda: said[-1:] == [taken], 'the other model')
        other.unlink()
        answer = call(w, Trigger, 'reload_model', Trigger.Request())
        assert not answer.success
        assert 'does not exist' in answer.message
        w.new_bodies(3, views=4)
        assert said[-1] == taken


def test_a_node_without_a_lifter_takes_none(rig_path: str, tmp_path: Path) -> None:
    with world('keypoints', rig_path=rig_path) as w:
        refused = set_model(w, str(lifter(tmp_path / 'other.onnx')))
        assert not refused.successful
        assert refused.reason.startswith('This node lifts nothing: lifter.enabled is false.')
        w.new_bodies(1)


def test_what_was_prepared_and_not_taken_is_freed() -> None:
    closed: list[str] = []

    class Fake:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    changes: model_changes.ModelChanges[Fake] = model_changes.ModelChanges()
    changes.change()
    assert changes.take() is None
    assert changes.prepare(Fake('a')).name == 'a'
    changes.prepare(Fake('b'))
    assert closed == ['a']
    changes.change()
    changes.prepare(Fake('c'))
    changes.change()
    assert closed == ['a', 'b']
    taken = changes.take()
    assert taken is not None
    assert taken.name == 'c'
    assert changes.take() is None
    changes.prepare(Fake('d'))
    changes.close()
    assert closed == ['a', 'b', 'd']


def detector(path: Path) -> Path:
    """Write the detector that ships, with a card, as a taught one."""
    shipped = packaged('blazepose_full')
    shutil.copy(shipped, path)
    shutil.copy(card_path(shipped), card_path(path))
    return path


def test_running_nodes_take_another_detector(
    rig_path: str, tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, str]] = []
    load = model_changes.load_detector

    def noted(config: Any, cameras: int, skeleton: str) -> Any:
        if config.model == 'torn.onnx':
            raise DetectorError("Detector 'blazepose': it is torn")
        made.append((config.model, skeleton))
        return load(config, cameras, skeleton)

    for module in (model_changes, pose_node, detector_node):
        monkeypatch.setattr(module, 'load_detector', noted)
    taught = detector(tmp_path / 'taught.onnx')
    with world('compressed', rig_path=rig_path) as w, detecting(w, ['elsewhere']):
        w.new_bodies(3, views=4)
        for target in ('/pose_node', '/detector_node'):
            assert reload_model(node, target, taught, 20.0) == sha256(taught)
        assert w.node.config.pipeline.detector.model == str(taught)
        answer = call(w, Trigger, 'reload_model', Trigger.Request())
        assert (answer.success, answer.message) == (True, f'the next set is detected by {sha256(taught)[:12]}')
        until(lambda: len(made) == 3, 'three loads')
        assert made == [(str(taught), 'body17')] * 3
        refused = set_model(w, 'torn.onnx', 'detector')
        assert (refused.successful, refused.reason) == (False, "Detector 'blazepose': it is torn")
        assert w.node.config.pipeline.detector.model == str(taught)
        w.new_bodies(3)
