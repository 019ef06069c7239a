#!/usr/bin/env python3
# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Record what mediapipe's own BlazePose gives on images of videos; what our networks are compared with.

A tool of development, like convert_blazepose.py: Python 3.11, in an environment of its own with mediapipe 0.10.14.

    python3.11 -m venv /tmp/record && /tmp/record/bin/pip install mediapipe==0.10.14
    /tmp/record/bin/python tools/record_blazepose.py --images 0 50 --height 640 FOLDER cam01.mp4 ...

It makes test/detection/data: images as JPEG, with what mediapipe gives on them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import mediapipe
import numpy as np
from mediapipe.framework.formats import rect_pb2

# Mediapipe's own subgraphs for detection and landmarks; its region is looked for anew (LOOK) or given (ROI).
_GRAPH = """
input_stream: "IMAGE:image"
input_stream: "ROI:given_roi"
input_stream: "LOOK:look"
output_stream: "people"
output_stream: "used_roi"
output_stream: "landmarks"
output_stream: "next_roi"
node {
  calculator: "GateCalculator"
  input_stream: "image"
  input_stream: "ALLOW:look"
  output_stream: "whole_image"
}
node {
  calculator: "GateCalculator"
  input_stream: "given_roi"
  input_stream: "DISALLOW:look"
  output_stream: "last_roi"
}
node {
  calculator: "ImagePropertiesCalculator"
  input_stream: "IMAGE_CPU:image"
  output_stream: "SIZE:size"
}
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:whole_image" output_stream: "DETECTIONS:people" }
node {
  calculator: "SplitDetectionVectorCalculator"
  input_stream: "people"
  output_stream: "person"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] { ranges { begin: 0 end: 1 } element_only: true } }
}
node {
  calculator: "PoseDetectionToRoi"
  input_stream: "DETECTION:person"
  input_stream: "IMAGE_SIZE:size"
  output_stream: "ROI:found_roi"
}
node {
  calculator: "MergeCalculator"
  input_stream: "found_roi"
  input_stream: "last_roi"
  output_stream: "used_roi"
}
node {
  calculator: "PoseLandmarkByRoiCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:used_roi"
  output_stream: "LANDMARKS:landmarks"
  output_stream: "AUXILIARY_LANDMARKS:auxiliary"
}
node {
  calculator: "PoseLandmarksToRoi"
  input_stream: "LANDMARKS:auxiliary"
  input_stream: "IMAGE_SIZE:size"
  output_stream: "ROI:next_roi"
}
"""


class Reference:
    """Mediapipe's graph; regions are (centre x y, width, height) in image sizes and a rotation in rad."""

    def __init__(self) -> None:
        root = Path(mediapipe.__file__).parent
        mediapipe.resource_util.set_resource_dir(str(root.parent))
        self._create = mediapipe.packet_creator
        self._graph = mediapipe.CalculatorGraph(graph_config=_GRAPH)
        self._found: dict[str, Any] = {}
        for stream in ('people', 'used_roi', 'landmarks', 'next_roi'):
            self._graph.observe_output_stream(stream, self._found.__setitem__)
        self._graph.start_run()
        self._time = 0

    def find(self, image: Any, region: Any = None) -> tuple[Any, Any, Any, Any]:
        """Return (people (n, 9) score and 4 points, used region (5,), landmarks (33, 3), next region (5,))."""
        x, y, width, height, rotation = (0.5, 0.5, 1.0, 1.0, 0.0) if region is None else map(float, region)
        self._found.clear()
        self._time += 1
        rect = rect_pb2.NormalizedRect(x_center=x, y_center=y, width=width, height=height, rotation=rotation)
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        packets = {
            'image': self._create.create_image_frame(rgb, image_format=mediapipe.ImageFormat.SRGB),
            'given_roi': self._create.create_proto(rect), 'look': self._create.create_bool(region is None),
        }
        for stream, packet in packets.items():
            self._graph.add_packet_to_input_stream(stream=stream, packet=packet.at(self._time))
        self._graph.wait_until_idle()
        read = mediapipe.packet_getter
        people = read.get_proto_list(self._found['people']) if 'people' in self._found else []
        table = [
            [d.score[0], *(v for k in d.location_data.relative_keypoints for v in (k.x, k.y))] for d in people
        ]
        landmarks = np.full((33, 3), np.nan)
        if 'landmarks' in self._found:
            landmarks[:] = [(m.x, m.y, m.visibility) for m in read.get_proto(self._found['landmarks']).landmark]
        return np.array(table).reshape(-1, 9), self._rect('used_roi'), landmarks, self._rect('next_roi')

    def _rect(self, stream: str) -> Any:
        if stream not in self._found:
            return np.full(5, np.nan)
        rect = mediapipe.packet_getter.get_proto(self._found[stream])
        return np.array([rect.x_center, rect.y_center, rect.width, rect.height, rect.rotation])


def main() -> None:
    """Record what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path)
    parser.add_argument('videos', type=Path, nargs='+')
    parser.add_argument('--images', type=int, nargs='+', required=True, help='of each video, its number')
    parser.add_argument('--height', type=int, default=640, help='of the images written, px')
    arguments = parser.parse_args()
    reference = Reference()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {}
    for path, number in zip(arguments.videos, arguments.images, strict=True):
        capture = cv2.VideoCapture(str(path))
        # Read one after the other: videos do not seek exactly.
        image = [capture.read()[1] for _ in range(number + 1)][-1]
        scale = arguments.height / image.shape[0]
        name = f'{path.stem}_{number}'
        still = arguments.out / f'{name}.jpg'
        cv2.imwrite(str(still), cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        image = cv2.imread(str(still))
        people, found, looked, following = reference.find(image)
        _, _, followed, _ = reference.find(image, following)
        result = {'people': people, 'found': found, 'looked': looked, 'next': following, 'followed': followed}
        rows |= {f'{name}/{key}': value for key, value in result.items()}
    np.savez_compressed(arguments.out / 'mediapipe.npz', **rows)


if __name__ == '__main__':
    main()
