# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A network with the interface of BlazePose's keypoint network and all its operators, of a few hundred weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OUTPUTS = {'landmarks': (195,), 'presence': (1,), 'heatmap': (64, 64, 39)}


def write_network(path: Path, seed: int = 0, operator: str = 'Clip') -> Path:
    """Write the network with random weights, half precision where BlazePose's are; return ``path``."""
    rng = np.random.default_rng(seed)
    stored, nodes = {}, []

    def constant(name: str, values: object, kind: type) -> str:
        stored[name] = np.asarray(values, kind)
        return name

    def conv(given: str, name: str, shape: tuple[int, ...], **attributes: object) -> str:
        for what, values in (('weight', rng.normal(0.0, 0.3 / np.sqrt(np.prod(shape[1:])), shape)), ('bias', 0.1)):
            values = np.broadcast_to(values, shape if what == 'weight' else shape[:1])
            constant(f'{name}_{what}_fp16', values, np.float16)
            nodes.append(helper.make_node('Cast', [f'{name}_{what}_fp16'], [f'{name}_{what}'], to=TensorProto.FLOAT))
        nodes.append(helper.make_node('Conv', [given, f'{name}_weight', f'{name}_bias'], [name], **attributes))
        return name

    def add(kind: str, given: list[str], name: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, given, [name], **attributes))
        return name

    low, high = constant('low', 0.0, np.float32), constant('high', 6.0, np.float32)
    pads = constant('pads', [0, 0, 0, 0, 0, 0, 1, 1], np.int64)
    first = conv(add('Pad', ['image', pads], 'padded'), 'first', (4, 3, 3, 3), strides=[2, 2])
    first = add(operator, [first, low, high] if operator == 'Clip' else [first], 'clipped')
    pooled = add('MaxPool', [first], 'pooled', kernel_shape=[2, 2], strides=[2, 2])
    small = conv(pooled, 'small', (4, 1, 3, 3), group=4, strides=[2, 2], pads=[0, 0, 1, 1])
    scales = constant('scales', [1.0, 1.0, 2.0, 2.0], np.float32)
    large = add(
        'Resize', [small, '', scales], 'large', mode='linear', coordinate_transformation_mode='half_pixel'
    )
    heat = conv(add('Add', [large, pooled], 'both'), 'heat', (39, 4, 1, 1), pads=[0, 0, 0, 0])
    add('Transpose', [heat], 'heatmap', perm=[0, 2, 3, 1])
    whole = conv(small, 'whole', (8, 4, 32, 32))
    marks, flag = conv(whole, 'marks', (195, 8, 1, 1)), conv(whole, 'flag', (1, 8, 1, 1))
    add('Reshape', [marks, constant('marks_shape', [-1, 195], np.int64)], 'landmarks')
    add('Reshape', [add('Sigmoid', [flag], 'probable'), constant('flag_shape', [-1, 1], np.int64)], 'presence')
    # In the middle of the crop.
    stored['marks_bias_fp16'] = np.where(np.arange(195) % 5 < 2, 128.0, 1.0).astype(np.float16)
    graph = helper.make_graph(
        nodes, 'tiny', [helper.make_tensor_value_info('image', TensorProto.FLOAT, ['batch', 3, 256, 256])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ['batch', *shape]) for n, shape in _OUTPUTS.items()],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), str(path))
    return path
