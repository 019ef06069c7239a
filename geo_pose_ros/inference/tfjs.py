# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""TensorFlow.js graph models as ONNX: what `geo_pose models get` converts with.

A TensorFlow.js model is a graph as JSON and a file of weights. Its convolutional part needs seven operators; the
post-processing behind it is ours. The conversion needs neither TensorFlow nor its converters.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto, ValueInfoProto

OPSET = 17
# Smaller constants stay in single precision.
_LEAST_HALF = 64


class Node(TypedDict):
    """A node as the JSON has it; an attribute is a mapping of its type to its value."""

    name: str
    op: str
    input: list[str]
    attr: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True, eq=False)
class TfjsGraph:
    """A graph model: its nodes by name, and the constants (as they are stored, fp16 or fp32) by name."""

    nodes: Mapping[str, Node]
    constants: Mapping[str, NDArray[np.generic]]

    @classmethod
    def read(cls, model: bytes, weights: bytes) -> TfjsGraph:
        """Return the graph of a model's JSON and its one file of weights.

        Raises:
            BackendError: if they are no graph model, or do not belong together.
        """
        try:
            tree = json.loads(model)
            nodes = {node['name']: node for node in tree['modelTopology']['node']}
            manifest = [entry for group in tree['weightsManifest'] for entry in group['weights']]
            constants, start = {}, 0
            for entry in manifest:
                dtype = np.dtype(entry.get('quantization', entry)['dtype'])
                count = int(np.prod(entry['shape']))
                constants[entry['name']] = np.frombuffer(weights, dtype, count, start).reshape(entry['shape'])
                start += count * dtype.itemsize
        except (ValueError, KeyError, TypeError) as error:
            raise BackendError(
                f'This is no TensorFlow.js graph model with its weights ({type(error).__name__}: {error}); expected '
                'modelTopology and weightsManifest, and all weights. Download both files again.'
            ) from error
        if start != len(weights):
            raise BackendError(
                f'The weights have {len(weights)} bytes, their manifest says {start}; the files belong to different '
                'models. Download both again.'
            )
        return cls(nodes, constants)


def convert_to_onnx(
    graph: TfjsGraph, image_node: str, size: tuple[int, int], outputs: Mapping[str, str]
) -> bytes:
    """Return an ONNX file with a free batch: 'image' (batch, 3, H, W) in, the ``outputs`` (batch, C, h, w) out.

    Args:
        graph: see TfjsGraph.
        image_node: the node whose value is the network's input.
        size: height and width of the image.
        outputs: names in the ONNX file, and the node of each.

    Raises:
        BackendError: if a node is missing, or is an operator that is not converted.
    """
    from onnx import TensorProto, checker, helper

    writer = _Writer(graph)
    writer.values[image_node] = _Value('image', 3, size)
    found = {ours: writer.value(node) for ours, node in outputs.items()}
    writer.nodes += [helper.make_node('Identity', [value.name], [ours]) for ours, value in found.items()]

    def tensor(name: str, value: _Value) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ['batch', value.channels, *value.size])

    made = helper.make_graph(
        writer.nodes, 'tfjs', [tensor('image', writer.values[image_node])],
        [tensor(ours, value) for ours, value in found.items()], writer.initializers,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor (batch, channels, height, width) of the ONNX graph."""

    name: str
    channels: int
    size: tuple[int, int]


@dataclass(slots=True)
class _Writer:
    """Writes the nodes that the wanted values need, each once."""

    graph: TfjsGraph
    values: dict[str, _Value] = field(default_factory=dict)
    nodes: list[NodeProto] = field(default_factory=list)
    initializers: list[TensorProto] = field(default_factory=list)

    def value(self, name: str) -> _Value:
        """Return the value of a node, written if it is not yet; depth first, without recursion."""
        unwritten = [name]
        while unwritten:
            top = unwritten[-1]
            missing = [one for one in self._inputs(top) if one not in self.values] if top not in self.values else []
            if missing:
                unwritten += missing
                continue
            unwritten.pop()
            if top not in self.values:
                self.values[top] = self._write(self.graph.nodes[top])
        return self.values[name]

    def _inputs(self, name: str) -> list[str]:
        """Return the nodes that a node's value is made of, without constants."""
        node = self.graph.nodes.get(name)
        if node is None or node['op'] not in _OPERATORS:
            raise BackendError(
                f"Node '{name}' of the TensorFlow.js graph is {'missing' if node is None else node['op']}; expected "
                f'one of {", ".join(_OPERATORS)}. The file is another model than the conversion is made for.'
            )
        inputs: list[str] = node['input']
        return [one for one in inputs[: _OPERATORS[node['op']]] if one not in self.graph.constants]

    def _write(self, node: Node) -> _Value:
        kind, name = node['op'], node['name']
        source = self.values[node['input'][0]]
        if 'Conv' in kind:
            return self._convolution(node, source)
        if kind == 'ResizeBilinear':
            factor = 2
            scales = self._constant(f'{name}/scales', np.array([1, 1, factor, factor], np.float32))
            self._add('Resize', [source.name, '', scales], name, mode='linear',
                      coordinate_transformation_mode='half_pixel')
            return _Value(name, source.channels, (factor * source.size[0], factor * source.size[1]))
        if kind == 'AddV2':
            self._add('Add', [source.name, self.values[node['input'][1]].name], name)
        else:
            self._add(kind, [source.name], name)
        return _Value(name, source.channels, source.size)

    def _convolution(self, node: Node, source: _Value) -> _Value:
        """Write a convolution, with the bias and the activation that are fused with it."""
        name, attributes = node['name'], node['attr']
        weights = np.asarray(self.graph.constants[node['input'][1]])
        depthwise = 'Depthwise' in node['op']
        # (height, width, in, out), of a depthwise one (height, width, channels, multiplier).
        kernel = weights.shape[0], weights.shape[1]
        order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        turned = weights.transpose(order)
        if depthwise:
            turned = turned.reshape(-1, 1, *kernel)
        stride = int(_listed(attributes['strides'], 'i')[1])
        same = base64.b64decode(str(attributes['padding']['s'])) == b'SAME'
        fused = [base64.b64decode(one).decode() for one in _listed(attributes.get('fused_ops', {}), 's')]
        inputs = [source.name, self._constant(f'{name}/weights', np.ascontiguousarray(turned))]
        if 'BiasAdd' in fused:
            inputs.append(self._constant(f'{name}/bias', np.asarray(self.graph.constants[node['input'][2]])))
        size = [-(-n // stride) if same else (n - k) // stride + 1 for n, k in zip(source.size, kernel, strict=True)]
        more = [
            max((out - 1) * stride + k - n, 0) if same else 0
            for out, k, n in zip(size, kernel, source.size, strict=True)
        ]
        activation = next((one for one in fused if one.startswith('Relu')), '')
        self._add(
            'Conv', inputs, f'{name}/raw' if activation else name, strides=[stride, stride], kernel_shape=list(kernel),
            pads=[more[0] // 2, more[1] // 2, more[0] - more[0] // 2, more[1] - more[1] // 2],
            group=source.channels if depthwise else 1,
        )
        if activation == 'Relu6':
            bounds = [self._constant(f'{name}/{bound}', np.array(bound, np.float32)) for bound in (0.0, 6.0)]
            self._add('Clip', [f'{name}/raw', *bounds], name)
        elif activation:
            self._add('Relu', [f'{name}/raw'], name)
        return _Value(name, turned.shape[0], (size[0], size[1]))

    def _add(self, kind: str, inputs: Sequence[str], output: str, **attributes: str | int | list[int]) -> None:
        from onnx import helper

        node = helper.make_node(kind, list(inputs), [output])
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)

    def _constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant and return its name; a large one of half precision with a cast, done once at loading."""
        from onnx import TensorProto, numpy_helper

        if values.dtype == np.float16 and values.size >= _LEAST_HALF:
            self.initializers.append(numpy_helper.from_array(values, f'{name}_fp16'))
            self._add('Cast', [f'{name}_fp16'], name, to=TensorProto.FLOAT)
        else:
            self.initializers.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name


def _listed(attribute: Mapping[str, object], kind: str) -> list[str]:
    """Return the values of an attribute that is a list, as text; none if it is missing."""
    found = attribute.get('list', {})
    return [str(one) for one in found.get(kind, ())] if isinstance(found, Mapping) else []


# TensorFlow's operators, and how many of their inputs are values of the graph at most.
_OPERATORS: Mapping[str, int] = {
    '_FusedConv2D': 1, 'FusedDepthwiseConv2dNative': 1, 'DepthwiseConv2dNative': 1, 'AddV2': 2, 'ResizeBilinear': 1,
    'Sigmoid': 1, 'Relu': 1,
}
