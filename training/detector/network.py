# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A convolutional ONNX network as a torch module: the weights of its convolutions can be trained and written back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from geo_pose_ros.errors import BackendError, ConfigError

_Attributes = Mapping[str, Any]
# Operator, inputs, output and attributes.
_Step = tuple[str, list[str], str, dict[str, Any]]


class OnnxNetwork(nn.Module):
    """The graph of an ONNX file, node by node; its input is float32 (N, ...), its outputs come by name.

    Attributes:
        weights: the weights and biases of its convolutions, in the order of the graph.
    """

    def __init__(self, model: Path) -> None:
        """Read ``model``.

        Raises:
            BackendError: if the file is missing or no ONNX file.
            ConfigError: if the graph has an operator that this module does not know.
        """
        super().__init__()
        try:
            self._proto = onnx.load(str(model))
        except Exception as error:
            raise BackendError(f"'{model}' cannot be read as ONNX: {error}. Give the path of an .onnx file.") from error
        graph = self._proto.graph
        unknown = sorted({node.op_type for node in graph.node} - {*_OPERATORS, 'Conv', 'Cast'})
        if unknown:
            raise ConfigError(
                f"'{model}' has the operators {', '.join(unknown)}; only networks of {', '.join(sorted(_OPERATORS))}, "
                'Cast and Conv, such as blazepose_full, can be taught.'
            )
        constants = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
        # Where weights are stored, by the name by which nodes know them: half precision is cast once.
        self._stored = {name: name for name in constants}
        self._steps: list[_Step] = []
        for node in graph.node:
            attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            if node.op_type == 'Cast' and node.input[0] in constants:
                constants[node.output[0]] = constants[node.input[0]].float()
                self._stored[node.output[0]] = self._stored[node.input[0]]
            else:
                self._steps.append((node.op_type, list(node.input), node.output[0], attributes))
        learned = dict.fromkeys(name for kind, given, _, _ in self._steps if kind == 'Conv' for name in given[1:])
        self._names = list(learned)
        self.weights = nn.ParameterList(nn.Parameter(constants[name].float()) for name in self._names)
        self._constants = {name: value for name, value in constants.items() if name not in learned}
        self._input, self._outputs = graph.input[0].name, [one.name for one in graph.output]
        # Those that lead to trained weights, and those behind.
        self._first, self._last = self._steps, self._steps[:0]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        return self.outputs(self.features(image))

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Return what trained weights work on, and the outputs that do not depend on them, by name."""
        after = {*self._outputs, *(one for _, given, _, _ in self._last for one in given)}
        return {name: value for name, value in self._run(self._first, {self._input: image}).items() if name in after}

    def outputs(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs by name; those that do not depend on trained weights only if they are in ``features``."""
        values = {**features, **self._run(self._last, features)}
        return {name: values[name] for name in self._outputs if name in values}

    def _run(self, steps: Sequence[_Step], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what ``steps`` make, by name."""
        values = {**self._constants, **dict(zip(self._names, self.weights, strict=True)), **given}
        for kind, names, name, attributes in steps:
            values[name] = _OPERATORS.get(kind, _convolve)(attributes, *(values[one] if one else None for one in names))
        return {name: values[name] for _, _, name, _ in steps}

    def train_apart_from(self, output: str) -> list[nn.Parameter]:
        """Let the weights be trained on which ``output`` does not depend; return them."""
        needed = {output}
        for _, given, name, _ in reversed(self._steps):
            needed |= {*given} if name in needed else set()
        behind = {name for name in self._names if name not in needed}
        self._first, self._last = [], []
        for step in self._steps:
            is_behind = not behind.isdisjoint(step[1])
            behind |= {step[2]} if is_behind else set()
            (self._last if is_behind else self._first).append(step)
        for name, weight in zip(self._names, self.weights, strict=True):
            weight.requires_grad_(name in behind)
        return [weight for weight in self.weights if weight.requires_grad]

    def save(self, path: Path) -> None:
        """Write the graph with its weights as they are now, in the precision in which they were stored."""
        proto = copy.deepcopy(self._proto)
        stored = {one.name: one for one in proto.graph.initializer}
        for name, weight in zip(self._names, self.weights, strict=True):
            old = stored[self._stored[name]]
            values = weight.detach().numpy().astype(numpy_helper.to_array(old).dtype)
            old.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), old.name))
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(proto, str(path))


def _convolve(attributes: _Attributes, image: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    top, left, bottom, right = attributes.get('pads', (0, 0, 0, 0))
    if (top, left) != (bottom, right):
        image, top, left = functional.pad(image, (left, right, top, bottom)), 0, 0
    return functional.conv2d(
        image, weight, bias, tuple(attributes.get('strides', (1, 1))), (top, left),
        tuple(attributes.get('dilations', (1, 1))), attributes.get('group', 1),
    )


def _pad(attributes: _Attributes, image: Tensor, pads: Tensor, value: Tensor | None = None) -> Tensor:
    before, after = pads.tolist()[: image.ndim], pads.tolist()[image.ndim :]
    # Torch begins with the last axis.
    both = [extent for pair in zip(reversed(before), reversed(after), strict=True) for extent in pair]
    return functional.pad(image, both, value=0.0 if value is None else float(value))


def _resize(attributes: _Attributes, image: Tensor, roi: Tensor | None, scales: Tensor) -> Tensor:
    way = attributes.get('mode'), attributes.get('coordinate_transformation_mode')
    if way != (b'linear', b'half_pixel'):
        raise ConfigError(f'The network resizes by {way}; only linear, half_pixel is known.')
    return functional.interpolate(image, scale_factor=scales.tolist()[2:], mode='bilinear', align_corners=False)


def _pool(attributes: _Attributes, image: Tensor) -> Tensor:
    return functional.max_pool2d(image, tuple(attributes['kernel_shape']), tuple(attributes['strides']))


_OPERATORS: Mapping[str, Callable[..., Tensor]] = {
    'Add': lambda attributes, a, b: a + b,
    'Clip': lambda attributes, x, low, high: x.clamp(low.item(), high.item()),
    'MaxPool': _pool,
    'Pad': _pad,
    'Reshape': lambda attributes, x, shape: x.reshape(shape.tolist()),
    'Resize': _resize,
    'Sigmoid': lambda attributes, x: torch.sigmoid(x),
    'Transpose': lambda attributes, x: x.permute(*attributes['perm']),
}
