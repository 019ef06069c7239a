"""RTMPose, RTMO (mmpose's ONNX, through rtmlib) and YOLO-pose (Ultralytics' ONNX), on any inference engine.

Jiang et al., "RTMPose", 2023; Lu et al., "RTMO", CVPR 2024. What a file holds is read from its outputs: ``simcc_x``,
``simcc_y`` is RTMPose (one person per crop; crops come from a YOLOX person detector, or the whole image is one),
boxes and (N, J, 3) keypoints is RTMO, a single (5 + 3 J, N) is YOLO-pose.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..config import DetectorConfig
from ..errors import BackendError, DetectorError, ShapeError
from ..inference.base import InferenceBackend, create_backend, warm_up
from ..skeleton import COCO17, HALPE26, FloatArray, Skeleton
from ..types import Frame, Keypoints2D

_SKELETONS: Mapping[int, Skeleton] = {len(s): s for s in (COCO17, HALPE26)}
_DEFAULT_NAME = 'balanced'
# Mean and deviation of ImageNet, BGR order as rtmlib uses them with its models.
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_LEAST_SCORE, _NMS_OVERLAP = 0.3, 0.45
_REMEDY = "Install it: pip install --no-deps 'rtmlib==0.0.16', or choose another detector."


class RtmposeDetector:
    """A detector from an ONNX file or one of rtmlib's names."""

    def __init__(self, config: DetectorConfig, camera: str) -> None:
        """Load the model; names (lightweight, balanced, performance, rtmo-...) are downloaded by rtmlib once.

        Raises:
            DetectorError: if rtmlib is missing, a file or download fails, or the model is none of the known kinds.
        """
        try:
            import rtmlib
        except ImportError as error:
            raise DetectorError(f"Detector 'rtmpose': rtmlib cannot be imported ({error}). {_REMEDY}") from error
        self._camera = camera
        model, person_model = _resolve(config, rtmlib)
        self._engines: list[InferenceBackend] = []
        try:
            pose = self._load(model, config)
            kind, joints = _kind(pose, model)
            self._skeleton = _SKELETONS[joints]
            self._persons: Any = None
            if kind == 'rtmpose':
                height, width = _image_size(pose, (256, 192))
                self._pose: Any = _tool(
                    rtmlib.RTMPose, pose, model_input_size=(width, height), mean=_MEAN, std=_STD, to_openpose=False
                )
                if person_model is not None:
                    persons = self._load(person_model, config)
                    self._persons = _tool(
                        rtmlib.YOLOX, persons, model_input_size=_image_size(persons, (640, 640)), mean=None, std=None,
                        det_mode='human', nms_thr=_NMS_OVERLAP, score_thr=_LEAST_SCORE,
                    )
            elif kind == 'rtmo':
                self._pose = _tool(
                    rtmlib.RTMO, pose, model_input_size=_image_size(pose, (640, 640)), mean=None, std=None,
                    to_openpose=False, nms_thr=_NMS_OVERLAP, score_thr=_LEAST_SCORE,
                )
            else:
                self._pose = _YoloPose(pose, _image_size(pose, (640, 640)))
        except BackendError as error:
            self.close()
            raise DetectorError(f"Detector 'rtmpose': {error}") from error
        except DetectorError:
            self.close()
            raise

    def _load(self, model: Path, config: DetectorConfig) -> InferenceBackend:
        engine = create_backend(model, config.engine)
        self._engines.append(engine)
        if all(n is not None for spec in engine.inputs for n in spec.shape[1:]):
            warm_up(engine, (1,))
        return engine

    @property
    def skeleton(self) -> Skeleton:
        """coco17 or halpe26, by the model's number of joints."""
        return self._skeleton

    def detect(self, frame: Frame) -> Keypoints2D:
        """Return the keypoints of all people in ``frame``, px; joints of score 0 or outside the image are NaN.

        Raises:
            DetectorError: if the model fails or gives another shape than its kind has.
        """
        try:
            xy, score = self._run(frame.image)
        except (BackendError, ShapeError, ValueError, IndexError, cv2.error) as error:
            raise DetectorError(f"Detector 'rtmpose' failed on camera '{self._camera}': {error}") from error
        height, width = frame.image.shape[:2]
        inside = (xy >= -0.5).all(-1) & (xy <= (width - 0.5, height - 0.5)).all(-1)
        confidence = np.where(inside, np.clip(score, 0.0, 1.0), 0.0)
        xy = np.where(confidence[..., None] > 0.0, xy, np.nan)
        people = (confidence > 0.0).any(1)
        return Keypoints2D(frame.camera, frame.stamp_ns, self._skeleton, xy[people], confidence[people])

    def _run(self, image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        if self._persons is None:
            xy, score = self._pose(image)
        else:
            boxes = self._persons(image)
            if not len(boxes):
                return np.zeros((0, len(self._skeleton), 2)), np.zeros((0, len(self._skeleton)))
            xy, score = self._pose(image, bboxes=boxes)
        return np.asarray(xy, np.float64), np.asarray(score, np.float64)

    def reset(self) -> None:
        """Nothing to forget: every image is looked at whole."""

    def close(self) -> None:
        """Free the models."""
        for engine in self._engines:
            engine.close()


def _resolve(config: DetectorConfig, rtmlib: Any) -> tuple[Path, Path | None]:
    """Return the files of pose model and person detector (None: the whole image is one person)."""
    person = Path(config.person_model) if config.person_model else None
    if config.model.endswith('.onnx'):
        return Path(config.model), person
    name = config.model or _DEFAULT_NAME
    one_stage = name.startswith('rtmo-')
    table = rtmlib.Body.RTMO_MODE if one_stage else rtmlib.Body.MODE
    entry = table.get(name.removeprefix('rtmo-'))
    if entry is None:
        names = [*rtmlib.Body.MODE, *(f'rtmo-{n}' for n in rtmlib.Body.RTMO_MODE)]
        raise DetectorError(
            f"Detector 'rtmpose': no model '{name}'; give a path that ends in .onnx, or one of {', '.join(names)}."
        )
    pose = _download(entry['pose'])
    return pose, person if person is not None or one_stage else _download(entry['det'])


def _download(url: str) -> Path:
    from rtmlib.tools.file import download_checkpoint

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return Path(download_checkpoint(url))
    # rtmlib lets errors of network, disk and archive through as they are; all of them mean the same here.
    except Exception as error:
        raise DetectorError(
            f"Detector 'rtmpose': cannot fetch {url} ({error}). Download and unpack it by hand and set model to the "
            '.onnx file.'
        ) from error


def _kind(engine: InferenceBackend, model: Path) -> tuple[str, int]:
    """Return what ``model`` is (rtmpose, rtmo, yolo) and its number of joints, from its declared outputs."""
    shapes = [spec.shape for spec in engine.outputs]
    found: tuple[str, int | None] | None = None
    if len(shapes) == 2 and all(len(s) == 3 for s in shapes):
        found = 'rtmpose', shapes[0][1]
    elif len(shapes) == 2 and len(shapes[1]) == 4:
        found = 'rtmo', shapes[1][2]
    elif len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][1] is not None:
        found = 'yolo', (shapes[0][1] - 5) // 3
    if found is None or found[1] not in _SKELETONS or len(engine.inputs) != 1:
        outputs = ', '.join(map(str, engine.outputs))
        raise DetectorError(
            f"Detector 'rtmpose': '{model.name}' gives {outputs}; expected RTMPose, RTMO or YOLO-pose of "
            f'{" or ".join(map(str, _SKELETONS))} joints.'
        )
    return found[0], int(found[1] or 0)


def _image_size(engine: InferenceBackend, default: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) px of the model's input; ``default`` where it is free."""
    *_, height, width = engine.inputs[0].shape
    return height or default[0], width or default[1]


def _tool(kind: type, engine: InferenceBackend, **attributes: Any) -> Any:
    """Return rtmlib's ``kind`` with its pre- and post-processing, computing on ``engine``."""

    def inference(self: Any, image: NDArray[Any]) -> list[NDArray[Any]]:
        batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
        found = engine.infer({engine.inputs[0].name: batch})
        return [found[spec.name] for spec in engine.outputs]

    tool: Any = object.__new__(type(kind.__name__, (kind,), {'inference': inference}))
    for name, value in attributes.items():
        setattr(tool, name, value)
    return tool


class _YoloPose:
    """Ultralytics' pose models: letterboxed RGB in [0, 1] to (5 + 3 J, N) of centre, size, score and keypoints."""

    def __init__(self, engine: InferenceBackend, size: tuple[int, int]) -> None:
        self._engine, self._size = engine, size

    def __call__(self, image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        ratio = min(self._size[0] / image.shape[0], self._size[1] / image.shape[1])
        resized = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
        canvas = np.full((*self._size, 3), 114, np.uint8)
        canvas[: resized.shape[0], : resized.shape[1]] = resized[: self._size[0], : self._size[1]]
        batch = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], np.float32) / np.float32(255.0)
        found = self._engine.infer({self._engine.inputs[0].name: batch})[self._engine.outputs[0].name][0].T
        found = found[found[:, 4] >= _LEAST_SCORE]
        corners = np.concatenate([found[:, :2] - 0.5 * found[:, 2:4], found[:, 2:4]], 1)
        kept = cv2.dnn.NMSBoxes(corners.tolist(), found[:, 4].tolist(), _LEAST_SCORE, _NMS_OVERLAP)
        people = found[np.asarray(kept, int).ravel()][:, 5:]
        people = people.reshape(len(people), people.shape[1] // 3, 3)
        return people[..., :2] / ratio, people[..., 2]
