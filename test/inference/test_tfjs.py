# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""TensorFlow.js graphs as ONNX: every operator against the arithmetic itself."""

import base64
import json
from importlib.util import find_spec

import numpy as np
import onnxruntime
import pytest

from geo_pose_ros.errors import BackendError
from geo_pose_ros.inference.tfjs import TfjsGraph, convert_to_onnx

# A robot converts nothing.
needs_onnx = pytest.mark.skipif(find_spec('onnx') is None, reason='onnx is not installed')

RNG = np.random.default_rng(0)


def text(word):
    return base64.b64encode(word.encode()).decode()


def node(name, op, inputs, **attributes):
    return {'name': name, 'op': op, 'input': list(inputs), 'attr': attributes}


def convolution(name, op, inputs, stride=1, padding='SAME', fused=()):
    return node(
        name, op, inputs, strides={'list': {'i': ['1', str(stride), str(stride), '1']}}, padding={'s': text(padding)},
        fused_ops={'list': {'s': [text(one) for one in fused]}},
    )


def stored(nodes, **constants):
    """Return the JSON and the weights of a graph; every second constant in half precision."""
    manifest, weights = [], b''
    for index, (name, values) in enumerate(constants.items()):
        half = index % 2 == 0
        entry = {'name': name, 'shape': list(values.shape), 'dtype': 'float32'}
        manifest.append({**entry, 'quantization': {'dtype': 'float16'}} if half else entry)
        weights += values.astype(np.float16 if half else np.float32).tobytes()
    tree = {'modelTopology': {'node': nodes}, 'weightsManifest': [{'paths': ['w.bin'], 'weights': manifest}]}
    return json.dumps(tree).encode(), weights


def run(nodes, image, output, **constants):
    model = convert_to_onnx(TfjsGraph.read(*stored(nodes, **constants)), 'image_node', image.shape[2:], {'out': output})
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    return session.run(['out'], {'image': image.astype(np.float32)})[0]


def convolved(image, weights, stride, same, depthwise):
    """Return TensorFlow's convolution (N, C, H, W), pixel by pixel."""
    count, _, height, width = image.shape
    k = weights.shape[0]
    size = [-(-n // stride) if same else (n - k) // stride + 1 for n in (height, width)]
    more = [max((out - 1) * stride + k - n, 0) if same else 0 for out, n in zip(size, (height, width), strict=True)]
    padded = np.pad(image, ((0, 0), (0, 0), *((m // 2, m - m // 2) for m in more)))
    found = np.zeros((count, weights.shape[2] if depthwise else weights.shape[3], *size))
    for row, column in np.ndindex(*size):
        part = padded[:, :, row * stride : row * stride + k, column * stride : column * stride + k]
        equation = 'nchw,hwc->nc' if depthwise else 'nchw,hwco->no'
        found[:, :, row, column] = np.einsum(equation, part, weights[..., 0] if depthwise else weights)
    return found


@needs_onnx
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
@pytest.mark.parametrize(('op', 'depthwise'), [('_FusedConv2D', False), ('FusedDepthwiseConv2dNative', True)])
def test_convolutions_with_bias_and_activation(op, depthwise, padding, stride):
    image = RNG.normal(size=(2, 3, 8, 10)) * 3.0
    weights = RNG.normal(size=(3, 3, 3, 1 if depthwise else 5)).astype(np.float16).astype(float)
    bias = RNG.normal(size=3 if depthwise else 5)
    nodes = [convolution('c', op, ['image_node', 'w', 'b'], stride, padding, ('BiasAdd', 'Relu6'))]
    raw = convolved(image, weights, stride, padding == 'SAME', depthwise) + bias[:, None, None]
    np.testing.assert_allclose(run(nodes, image, 'c', w=weights, b=bias), np.clip(raw, 0.0, 6.0), atol=1e-5)


@needs_onnx
def test_sums_resizing_and_a_convolution_alone():
    image = RNG.normal(size=(1, 3, 4, 6))
    weights = np.eye(3).reshape(1, 1, 3, 3)
    nodes = [
        node('up', 'ResizeBilinear', ['image_node', 'size']),
        convolution('same', '_FusedConv2D', ['up', 'w', 'b'], fused=('BiasAdd', 'Relu')),
        node('sum', 'AddV2', ['same', 'up']), node('last', 'Sigmoid', ['sum']),
    ]
    found = run(nodes, image, 'last', w=weights, b=np.zeros(3), size=np.array([8.0, 12.0]))
    assert found.shape == (1, 3, 8, 12)
    # The corner keeps its value, as pixels count from their edges.
    corner = image[0, :, 0, 0] + np.maximum(image[0, :, 0, 0], 0.0)
    np.testing.assert_allclose(found[0, :, 0, 0], 1.0 / (1.0 + np.exp(-corner)), atol=1e-6)


@needs_onnx
def test_other_operators_and_missing_nodes_are_named():
    graph = TfjsGraph.read(*stored([node('odd', 'TopKV2', ['image_node'])]))
    with pytest.raises(BackendError, match=r"Node 'odd' of the TensorFlow.js graph is TopKV2; expected one of _Fused"):
        convert_to_onnx(graph, 'image_node', (4, 4), {'out': 'odd'})
    with pytest.raises(BackendError, match=r"Node 'none' of the TensorFlow.js graph is missing"):
        convert_to_onnx(graph, 'image_node', (4, 4), {'out': 'none'})


def test_broken_files_are_refused():
    graph, weights = stored([], w=np.ones((2, 2)))
    with pytest.raises(BackendError, match=r'no TensorFlow.js graph model with its weights'):
        TfjsGraph.read(graph, weights[:3])
    with pytest.raises(BackendError, match=r'no TensorFlow.js graph model'):
        TfjsGraph.read(b'{"format": "layers-model"}', weights)
    with pytest.raises(BackendError, match=r'have 12 bytes, their manifest says 8'):
        TfjsGraph.read(graph, weights + b'more')
