#!/usr/bin/env python3
# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Convert mediapipe's networks to ONNX; how geo_pose_ros/models/blazepose_*.onnx and hand.onnx came.

A tool of development: nobody who uses the package runs it, and what it needs is none of the package's dependencies.
Python 3.11, in an environment of its own:

    python3.11 -m venv /tmp/convert
    /tmp/convert/bin/pip install tensorflow-cpu==2.15.1 tf2onnx==1.16.1 onnx==1.16.1 onnxruntime==1.18.1
    /tmp/convert/bin/pip download --no-deps --dest /tmp/convert mediapipe==0.10.14
    npm pack --pack-destination /tmp/convert @mediapipe/pose@0.5.1675469404
    /tmp/convert/bin/python tools/convert_blazepose.py geo_pose_ros/models /tmp/convert/mediapipe-*

Networks of an archive that is not given are left out. The tool makes the weights that TFLite keeps sparse dense, keeps
only the outputs that are used, hands the rest to tf2onnx, stores the weights in half precision (they are in mediapipe's
files; the computation stays in single), compares the result with TFLite's own on a batch of random images, and writes a
card beside each model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from onnx import TensorProto, helper, numpy_helper
from tensorflow.lite.python import schema_py_generated as schema

OPSET = 17
# Nothing smaller than this is worth a cast.
_LEAST_HALF = 64
_REFERENCE = 'Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020'
_HANDS = 'Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020'
_WHEEL, _NPM = 'the wheel mediapipe 0.10.14', 'the npm package @mediapipe/pose 0.5.1675469404'
_KEYPOINTS: dict[str, Any] = {
    'input': 'RGB in [0, 1], a rotated square region of the image',
    # TFLite's name of an output: ours, and what it is.
    'outputs': {
        'Identity': ('landmarks', '(batch, 195) 39 times x y z (px of the input), visibility, presence (logits)'),
        'Identity_1': ('presence', '(batch, 1) probability of a person'),
        'Identity_3': ('heatmap', '(batch, 64, 64, 39) logits'),
    },
}
_NETWORKS: dict[str, dict[str, Any]] = {
    'blazepose_person': {
        'archive': _WHEEL, 'source': 'mediapipe/modules/pose_detection/pose_detection.tflite',
        'input': 'RGB in [-1, 1], the image letterboxed with black',
        'outputs': {
            'Identity': ('boxes', '(batch, 2254, 12) centre x y, size, hip centre, circle, shoulder centre, head; px '
                                  'of the input, relative to the anchor'),
            'Identity_1': ('scores', '(batch, 2254, 1) logits'),
        },
    },
    'blazepose_full': {
        'archive': _WHEEL, 'source': 'mediapipe/modules/pose_landmark/pose_landmark_full.tflite', **_KEYPOINTS,
    },
    'blazepose_heavy': {'archive': _NPM, 'source': 'package/pose_landmark_heavy.tflite', **_KEYPOINTS},
    'hand': {
        'archive': _WHEEL, 'source': 'mediapipe/modules/hand_landmark/hand_landmark_full.tflite',
        'input': 'RGB in [0, 1], a rotated square region of the image, fingers up', 'reference': _HANDS,
        'outputs': {
            'Identity': ('landmarks', '(batch, 63) 21 times x y z, px of the input'),
            'Identity_1': ('presence', '(batch, 1) probability of a hand'),
        },
    },
}


def main() -> int:
    """Convert the networks; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder of the ONNX files and cards')
    parser.add_argument('archives', type=Path, nargs='+', help='mediapipe-0.10.14-*.whl, mediapipe-pose-0.5.*.tgz')
    parser.add_argument('--only', choices=tuple(_NETWORKS), nargs='*', default=tuple(_NETWORKS))
    arguments = parser.parse_args()
    for name in arguments.only:
        network = _NETWORKS[name]
        original = read_member(arguments.archives, network['source'])
        if original is None:
            continue
        kept = {theirs: ours for theirs, (ours, _) in network['outputs'].items()}
        reduced = reduce_network(original, tuple(kept))
        model = to_onnx(reduced, kept)
        path = arguments.out / f'{name}.onnx'
        onnx.save(model, str(path))
        difference = compare(original, path, kept)
        card = {
            'name': name, 'sha256': hashlib.sha256(path.read_bytes()).hexdigest(), 'input': network['input'],
            'outputs': dict(network['outputs'].values()),
            'source': f'{network["source"]} of {network["archive"]}',
            'source_sha256': hashlib.sha256(original).hexdigest(),
            'conversion': f'tools/convert_blazepose.py: tf2onnx {tf2onnx.__version__}, opset {OPSET}, weights as fp16',
            'largest_difference_to_tflite': difference,
            'licence': 'Apache-2.0',
            'acknowledgement': f'The MediaPipe Authors; {network.get("reference", _REFERENCE)}', 'format': 1,
        }
        path.with_suffix('.json').write_text(json.dumps(card, indent=1) + '\n', encoding='utf-8')
        print(f'{path}: {path.stat().st_size / 1e6:.1f} MB, largest difference to TFLite {difference}')
    return 0


def read_member(archives: list[Path], name: str) -> bytes | None:
    """Return the file ``name`` of whichever archive has it, None if none does."""
    for path in archives:
        if path.suffix == '.whl':
            with zipfile.ZipFile(path) as wheel:
                if name in wheel.namelist():
                    return wheel.read(name)
        else:
            with tarfile.open(path) as package:
                if name in package.getnames():
                    member = package.extractfile(name)
                    return None if member is None else member.read()
    return None


def reduce_network(original: bytes, outputs: tuple[str, ...]) -> bytes:
    """Return the TFLite file with dense weights, and only what ``outputs`` depend on."""
    network = schema.ModelT.InitFromObj(schema.Model.GetRootAs(original, 0))
    (graph,) = network.subgraphs
    dense = _dense_weights(original, network, graph)
    for index, values in dense.items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        network.buffers.append(buffer)
        graph.tensors[index].buffer = len(network.buffers) - 1
    names = {tensor.name.decode(): index for index, tensor in enumerate(graph.tensors)}
    graph.outputs = [names[name] for name in outputs]
    wanted, kept = set(graph.outputs), []
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs) and not set(operator.outputs) <= set(dense):
            wanted.update(operator.inputs)
            kept.append(operator)
    graph.operators = kept[::-1]
    _drop_unused_tensors(graph)
    network.signatureDefs = None
    builder = flatbuffers.Builder(len(original))
    builder.Finish(network.Pack(builder), b'TFL3')
    return bytes(builder.Output())


def _drop_unused_tensors(graph: Any) -> None:
    """Renumber the tensors; TFLite's Python crashes where it describes a sparse one."""
    groups = [graph.inputs, graph.outputs, *(g for op in graph.operators for g in (op.inputs, op.outputs))]
    used = sorted({int(index) for group in groups for index in group if index >= 0})
    number = {index: new for new, index in enumerate(used)} | {-1: -1}
    graph.tensors = [graph.tensors[index] for index in used]
    graph.inputs, graph.outputs = ([number[int(i)] for i in group] for group in (graph.inputs, graph.outputs))
    for op in graph.operators:
        op.inputs, op.outputs = ([number[int(i)] for i in group] for group in (op.inputs, op.outputs))


def _dense_weights(original: bytes, network: Any, graph: Any) -> dict[int, Any]:
    """Return, by tensor, what the operators DENSIFY give: constants that TFLite's interpreter unpacks."""
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in network.operatorCodes]
    densify = [op for op in graph.operators if codes[op.opcodeIndex] == schema.BuiltinOperator.DENSIFY]
    interpreter = tf.lite.Interpreter(
        model_content=original, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.invoke()
    return {int(op.outputs[0]): interpreter.get_tensor(int(op.outputs[0])) for op in densify}


def to_onnx(network: bytes, names: dict[str, str]) -> Any:
    """Return the ONNX model: a free batch, input 'image' (batch, 3, H, W), outputs renamed by ``names``."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / 'network.tflite'
        path.write_bytes(network)
        interpreter = tf.lite.Interpreter(model_path=str(path))
        given = interpreter.get_input_details()[0]['name']
        model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET, inputs_as_nchw=[given])
    graph = model.graph
    (image,) = graph.input
    for node in graph.node:
        node.input[:] = ['image' if name == image.name else names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    image.name = 'image'
    for output in graph.output:
        output.name = names[output.name]
    del graph.value_info[:]
    _free_the_batch(graph)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = 'batch'
    _halve_the_weights(graph)
    model.doc_string = ''
    onnx.checker.check_model(model)
    return model


def _free_the_batch(graph: Any) -> None:
    """Let reshapes that name a batch of one take any."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Reshape' and node.input[1] in constants:
            shape = numpy_helper.to_array(constants[node.input[1]]).copy()
            if shape[0] == 1:
                # As in the input.
                shape[0] = 0
                constants[node.input[1]].CopyFrom(numpy_helper.from_array(shape, node.input[1]))


def _halve_the_weights(graph: Any) -> None:
    """Store large constants as fp16, each with a cast that engines do once at loading."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= _LEAST_HALF:
            name = tensor.name
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, f'{name}_fp16'))
            casts.append(helper.make_node('Cast', [f'{name}_fp16'], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def compare(original: bytes, path: Path, names: dict[str, str]) -> dict[str, float]:
    """Return the largest differences of the converted outputs to TFLite's over a batch of random images."""
    interpreter = tf.lite.Interpreter(model_content=original)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    theirs = {detail['name']: detail['index'] for detail in interpreter.get_output_details()}
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    rng = np.random.default_rng(0)
    largest: dict[str, float] = {}
    images = rng.random((3, *given['shape'][1:]), np.float32)
    found = session.run(list(names.values()), {'image': np.ascontiguousarray(images.transpose(0, 3, 1, 2))})
    for index, image in enumerate(images):
        interpreter.set_tensor(given['index'], image[None])
        interpreter.invoke()
        for (name, ours), values in zip(names.items(), found, strict=True):
            difference = float(np.abs(values[index] - interpreter.get_tensor(theirs[name])[0]).max())
            largest[ours] = max(largest.get(ours, 0.0), round(difference, 5))
    return largest


if __name__ == '__main__':
    sys.exit(main())
