"""BlazePose as a mediapipe graph of our own, from the calculators and weights of mediapipe's wheel.

On a single image it returns what ``mp.solutions.pose`` returns. It differs over many:

- The network's segmentation mask, which nobody reads, is not computed: half of the time.
- The next image's region of interest is that of the last pose. The solution takes it from landmarks that it smooths as
  if images were 1/30 s apart, also where smoothing is off, so that at lower rates the region lags behind the person.
- To forget the last pose costs nothing; the solution starts its graph again.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LANDMARK_MODEL = Path('modules', 'pose_landmark', 'pose_landmark_full.tflite')
# Of the network's outputs: landmarks, presence, mask, heat map, world landmarks.
_PRESENCE, _MASK = 1, 2

# As pose_landmark_cpu.pbtxt and pose_landmark_by_roi_cpu.pbtxt, without smoothing, mask and loop back. All nodes run
# in the thread that waits for them: the cameras are what runs in parallel.
_GRAPH = """
executor { type: "ApplicationThreadExecutor" }
input_stream: "IMAGE:image"
input_stream: "ROI:roi"
input_stream: "LOOK:look"
input_side_packet: "weights"
output_stream: "landmarks"
output_stream: "next_roi"
node {
  calculator: "TfLiteModelCalculator"
  input_side_packet: "MODEL_BLOB:weights"
  output_side_packet: "MODEL:model"
}
node {
  calculator: "ImagePropertiesCalculator"
  input_stream: "IMAGE_CPU:image"
  output_stream: "SIZE:size"
}
node {
  calculator: "GateCalculator"
  input_stream: "image"
  input_stream: "ALLOW:look"
  output_stream: "whole_image"
}
node {
  calculator: "GateCalculator"
  input_stream: "roi"
  input_stream: "DISALLOW:look"
  output_stream: "last_roi"
}
node {
  calculator: "PoseDetectionCpu"
  input_stream: "IMAGE:whole_image"
  output_stream: "DETECTIONS:people"
}
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
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  input_stream: "NORM_RECT:used_roi"
  output_stream: "TENSORS:crop"
  output_stream: "LETTERBOX_PADDING:padding"
  options {
    [mediapipe.ImageToTensorCalculatorOptions.ext] {
      output_tensor_width: 256
      output_tensor_height: 256
      keep_aspect_ratio: true
      output_tensor_float_range { min: 0 max: 1 }
    }
  }
}
node {
  calculator: "InferenceCalculator"
  input_stream: "TENSORS:crop"
  input_side_packet: "MODEL:model"
  output_stream: "TENSORS:outputs"
  options { [mediapipe.InferenceCalculatorOptions.ext] { delegate { xnnpack {} } } }
}
node {
  calculator: "TensorsToPoseLandmarksAndSegmentation"
  input_stream: "TENSORS:outputs"
  output_stream: "LANDMARKS:crop_landmarks"
  output_stream: "AUXILIARY_LANDMARKS:crop_auxiliary"
}
node {
  calculator: "LandmarkLetterboxRemovalCalculator"
  input_stream: "LANDMARKS:0:crop_landmarks"
  input_stream: "LANDMARKS:1:crop_auxiliary"
  input_stream: "LETTERBOX_PADDING:padding"
  output_stream: "LANDMARKS:0:roi_landmarks"
  output_stream: "LANDMARKS:1:roi_auxiliary"
}
node {
  calculator: "LandmarkProjectionCalculator"
  input_stream: "NORM_LANDMARKS:0:roi_landmarks"
  input_stream: "NORM_LANDMARKS:1:roi_auxiliary"
  input_stream: "NORM_RECT:used_roi"
  output_stream: "NORM_LANDMARKS:0:landmarks"
  output_stream: "NORM_LANDMARKS:1:auxiliary"
}
node {
  calculator: "PoseLandmarksToRoi"
  input_stream: "LANDMARKS:auxiliary"
  input_stream: "IMAGE_SIZE:size"
  output_stream: "ROI:next_roi"
}
"""


def has_blazepose(mediapipe: Any) -> bool:
    """Whether this mediapipe has what it takes: graphs in Python, and the weights in its wheel."""
    return hasattr(mediapipe, 'CalculatorGraph') and (_root(mediapipe) / _LANDMARK_MODEL).is_file()


class BlazePose:
    """Follows one person through images; finds them on the first, and again where they were lost."""

    def __init__(self, mediapipe: Any) -> None:
        """Load the networks.

        Args:
            mediapipe: the imported package, for which ``has_blazepose``.

        Raises:
            RuntimeError, ValueError: from mediapipe, if its parts do not fit together.
        """
        self._create, self._read = mediapipe.packet_creator, mediapipe.packet_getter
        self._rgb = mediapipe.ImageFormat.SRGB
        root = _root(mediapipe)
        # Where mediapipe looks for the person detector's weights; mp.solutions sets the same.
        mediapipe.resource_util.set_resource_dir(str(root.parent))
        self._graph = mediapipe.CalculatorGraph(graph_config=_GRAPH)
        self._found: dict[str, Any] = {}
        for stream in ('landmarks', 'next_roi'):
            self._graph.observe_output_stream(stream, self._found.__setitem__)
        self._graph.start_run({'weights': self._create.create_string(_weights(root / _LANDMARK_MODEL))})
        self._no_roi = self._create.create_proto(
            import_module('mediapipe.framework.formats.rect_pb2').NormalizedRect(
                x_center=0.5, y_center=0.5, width=1.0, height=1.0
            )
        )
        self._roi: Any = None
        self._time = 0

    def find(self, image: NDArray[np.generic]) -> Any:
        """Return the 33 landmarks (``x``, ``y`` in image sizes, ``visibility``) of one person, or None.

        Args:
            image: (H, W, 3) RGB, 8 bit.

        Raises:
            RuntimeError, ValueError: from mediapipe.
        """
        self._found.clear()
        self._time += 1
        packets = {
            'image': self._create.create_image_frame(image, image_format=self._rgb),
            'roi': self._no_roi if self._roi is None else self._roi,
            'look': self._create.create_bool(self._roi is None),
        }
        for stream, packet in packets.items():
            self._graph.add_packet_to_input_stream(stream=stream, packet=packet.at(self._time))
        self._graph.wait_until_idle()
        self._roi = self._found.get('next_roi')
        landmarks = self._found.get('landmarks')
        return None if landmarks is None else self._read.get_proto(landmarks).landmark

    def forget(self) -> None:
        """Look at the whole of the next image."""
        self._roi = None

    def close(self) -> None:
        """Free the graph."""
        self._graph.close()


def _root(mediapipe: Any) -> Path:
    return Path(mediapipe.__file__).parent


@lru_cache(maxsize=1)
def _weights(model: Path) -> bytes:
    """Return the landmark network without its mask; the graph's calculators get the presence in the mask's place."""
    schema = import_module('mediapipe.tasks.metadata.schema_py_generated')
    flatbuffers = import_module('flatbuffers')
    network = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model.read_bytes(), 0))
    (graph,) = network.subgraphs
    outputs = list(graph.outputs)
    outputs[_MASK] = outputs[_PRESENCE]
    graph.outputs = outputs
    graph.operators = _needed(graph.operators, outputs)
    builder = flatbuffers.Builder(model.stat().st_size)
    builder.Finish(network.Pack(builder), b'TFL3')
    return bytes(builder.Output())


def _needed(operators: list[Any], outputs: list[int]) -> list[Any]:
    """Return the operators, in order of execution, that some of the tensors ``outputs`` depend on."""
    wanted = set(outputs)
    kept = []
    for operator in reversed(operators):
        if wanted.intersection(operator.outputs):
            wanted.update(operator.inputs)
            kept.append(operator)
    return kept[::-1]
