# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Small ONNX files with the inputs and outputs of real models, made by the tests; nothing is downloaded or committed.

What each computes is so simple that tests know the answer:

- ``double``: doubled = 2 x, total = sum of x over its last axis; x (batch, 3) float32. For the engines.
- ``temporal_lifter``: pose2d (batch, T, 17, 3) float32, xyz its mean over the window, sigma 0.5 m. For the pipeline.
- ``gravity_lifter``: pose2d (batch, 1, 17, 3) and view (batch, 2), xyz says what it was given. For the lifter.
- ``rtmpose``: SimCC of mmpose's RTMPose: input (batch, 3, 256, 192) float32, simcc_x (batch, 17, 384), simcc_y
  (batch, 17, 512). Every joint j has its peak at bin (10 j + 20, 20 j + 30), height 0.9.
- ``rtmo``: input (batch, 3, 640, 640), dets (batch, 2, 5) boxes and scores, keypoints (batch, 2, 17, 3). Two people,
  the second below the score threshold.
- ``yolo_pose``: images (batch, 3, 640, 640), output0 (batch, 56, 3): three anchors, two of them one person.

Lifters have a card beside them. All but ``double`` multiply the mean of the image by zero and add constants, so that
the image is truly an input.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from geo_pose_ros.inference.model_card import INPUT_CONVENTION, default_model, load_card, save_card, sha256

FLOAT = TensorProto.FLOAT
OPSET = [helper.make_opsetid('', 17)]

# The person of the one-stage models, in px of the 640 x 640 input: joint j at (200 + 10 j, 300 - 5 j).
PERSON_XY = np.stack([200.0 + 10.0 * np.arange(17), 300.0 - 5.0 * np.arange(17)], 1).astype(np.float32)


def _info(name, *shape):
    return helper.make_tensor_value_info(name, FLOAT, shape)


def _save(path: Path, nodes, inputs, outputs, constants) -> Path:
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def double(path: Path, batch: str | int = 'batch') -> Path:
    nodes = [
        helper.make_node('Add', ['x', 'x'], ['doubled']),
        helper.make_node('ReduceSum', ['x', 'axes'], ['total'], keepdims=0),
    ]
    outputs = [_info('doubled', batch, 3), _info('total', batch)]
    return _save(path, nodes, [_info('x', batch, 3)], outputs, {'axes': np.array([1], np.int64)})


# sigma 0.5 m whatever the input.
_SIGMA = [
    helper.make_node('ReduceMean', ['pose2d'], ['mean'], axes=[1, 3], keepdims=0),
    helper.make_node('Mul', ['mean', 'zero'], ['nothing']),
    helper.make_node('Add', ['nothing', 'sigma_m'], ['sigma']),
]
_LIFTED = [_info('xyz', 'batch', 17, 3), _info('sigma', 'batch', 17)]
_SIGMA_VALUES = {'zero': np.float32(0.0), 'sigma_m': np.float32(0.5)}


def with_card(model: Path, **changes) -> Path:
    """Write the card of ``model``, that of the shipped lifter but for ``changes``; return ``model``."""
    changes = {'sha256': sha256(model), **changes}
    save_card(dataclasses.replace(load_card(default_model()), **changes), model)
    return model


def temporal_lifter(path: Path, frames: int) -> Path:
    nodes = [helper.make_node('ReduceMean', ['pose2d'], ['xyz'], axes=[1], keepdims=0), *_SIGMA]
    model = _save(path, nodes, [_info('pose2d', 'batch', frames, 17, 3)], _LIFTED, _SIGMA_VALUES)
    windows = {'receptive_field': frames, 'causal': True, 'rate_hz': 10.0} if frames > 1 else {}
    return with_card(model, input_convention=INPUT_CONVENTION, **windows)


def gravity_lifter(path: Path, **changes) -> Path:
    """xyz is pose2d but for joint 1, which holds the view (steepness, log size + 2.5, 0); sigma 0.5 m."""
    chosen = np.zeros((1, 17, 1), np.float32)
    chosen[0, 1] = 1.0
    nodes = [
        helper.make_node('ReduceMean', ['pose2d'], ['pose'], axes=[1], keepdims=0),
        helper.make_node('Pad', ['view', 'pads'], ['padded']),
        helper.make_node('Unsqueeze', ['padded', 'axis'], ['row']),
        helper.make_node('Mul', ['row', 'chosen'], ['said']),
        helper.make_node('Mul', ['pose', 'others'], ['kept']),
        helper.make_node('Add', ['kept', 'said'], ['xyz']),
        *_SIGMA,
    ]
    constants = {
        **_SIGMA_VALUES, 'chosen': chosen, 'others': 1.0 - chosen, 'pads': np.array([0, 0, 0, 1], np.int64),
        'axis': np.array([1], np.int64),
    }
    inputs = [_info('pose2d', 'batch', 1, 17, 3), _info('view', 'batch', 2)]
    return with_card(_save(path, nodes, inputs, _LIFTED, constants), **changes)


def constant(path: Path, image: str, shape: tuple[int, int], outputs: dict[str, np.ndarray]) -> Path:
    """Return a model of an image that gives the same ``outputs`` for every image of the batch."""
    nodes = [
        helper.make_node('ReduceMean', [image], ['mean'], axes=[1, 2, 3], keepdims=0),
        helper.make_node('Mul', ['mean', 'zero'], ['nothing']),
    ]
    constants: dict[str, np.ndarray] = {'zero': np.zeros(1, np.float32)}
    for name, value in outputs.items():
        constants[f'{name}_axes'] = np.arange(1, value.ndim + 1, dtype=np.int64)
        constants[f'{name}_value'] = value[None].astype(np.float32)
        nodes.append(helper.make_node('Unsqueeze', ['nothing', f'{name}_axes'], [f'{name}_zero']))
        nodes.append(helper.make_node('Add', [f'{name}_zero', f'{name}_value'], [name]))
    infos = [_info(name, 'batch', *value.shape) for name, value in outputs.items()]
    return _save(path, nodes, [_info(image, 'batch', 3, *shape)], infos, constants)


def rtmpose(path: Path, more_joints: int = 0) -> Path:
    simcc_x, simcc_y = np.zeros((17 + more_joints, 384)), np.zeros((17 + more_joints, 512))
    joints = np.arange(17)
    simcc_x[joints, 10 * joints + 20] = 0.9
    simcc_y[joints, 20 * joints + 30] = 0.9
    simcc_x[17:, 7], simcc_y[17:, 7] = 0.5, 0.5
    return constant(path, 'input', (256, 192), {'simcc_x': simcc_x, 'simcc_y': simcc_y})


def whole_body(path: Path) -> Path:
    """Return RTMPose of 133 joints, whose first 17 are those of ``rtmpose``."""
    return rtmpose(path, more_joints=116)


def rtmo(path: Path) -> Path:
    dets = np.array([[190.0, 210.0, 370.0, 310.0, 0.9], [10.0, 10.0, 60.0, 60.0, 0.1]])
    keypoints = np.zeros((2, 17, 3))
    keypoints[0] = np.column_stack([PERSON_XY, np.full(17, 0.8)])
    return constant(path, 'input', (640, 640), {'dets': dets, 'keypoints': keypoints})


def yolo_pose(path: Path) -> Path:
    anchors = np.zeros((3, 56))
    anchors[:2, :4] = 280.0, 260.0, 180.0, 100.0
    anchors[:, 4] = 0.9, 0.6, 0.1
    anchors[:2, 5:] = np.column_stack([PERSON_XY, np.full(17, 0.8)]).ravel()
    anchors[1, 5:] += 3.0
    return constant(path, 'images', (640, 640), {'output0': anchors.T})


def end_to_end(path: Path) -> Path:
    """Return YOLO-pose with the suppression in the graph: output0 (batch, 300, 57), one person above the threshold."""
    rows = np.zeros((300, 57))
    rows[:2, :6] = 190.0, 210.0, 370.0, 310.0, 0.9, 0.0
    rows[:2, 6:] = np.column_stack([PERSON_XY, np.full(17, 0.8)]).ravel()
    rows[1, 4] = 0.1
    return constant(path, 'images', (640, 640), {'output0': rows})
