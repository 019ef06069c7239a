# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The lifter at run time: every view of every body in one batch, each pose placed at its absolute root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..errors import BackendError, ShapeError
from ..inference.base import InferenceBackend, create_backend, warm_up
from ..inference.model_card import INPUT_NAME, VIEW_NAME, ModelCard, default_model, load_card
from ..skeleton import BODY17
from .canonical import CanonicalPoses, Poses, camera_heights, canonical_poses, up_in_cameras, within_range
from .kernels import turn_back
from .root import locate_root
from .settings import LifterConfig

# Poses (C, B, J, 3) to windows (C, B, T, J, 3).
Windows = Callable[[Poses], Poses]
_BATCHES = (1, 4)


@dataclass(frozen=True, slots=True, eq=False)
class LiftedPoses:
    """What the lifter says about B bodies in C views.

    Attributes:
        pose: (C, B, J, 3) m, joints relative to the pelvis, in the view's camera frame; NaN = not lifted.
        sigma: (C, B, J) m, standard deviation of each joint, per axis.
        root: (C, B, 3) m, the pelvis in the view's camera frame.
    """

    pose: FloatArray
    sigma: FloatArray
    root: FloatArray


class PoseLifter:
    """Lifts 2D poses to 3D, each from its own view alone."""

    def __init__(self, config: LifterConfig) -> None:
        """Load the model that ``config`` names, or the one that ships with the package.

        Raises:
            BackendError: if the model, its card or the engine is missing, they do not agree, or the model looks into
                the future.
        """
        path = Path(config.model) if config.model else default_model()
        self.card: ModelCard = load_card(path)
        if self.card.joints is not BODY17:
            raise BackendError(f"Lifter '{path}' lifts {self.card.skeleton}, the pipeline body17; train one for that.")
        if self.card.receptive_field > 1 and not self.card.causal:
            raise BackendError(
                f"Lifter '{path}' looks at {self.card.receptive_field} frames around the one it lifts; the pipeline "
                'has only those before it: train with model.causal true.'
            )
        if self.card.gravity and config.up == 'none':
            raise BackendError(
                f"Lifter '{path}' has to know which way is up, but lifter.up is 'none'; name the axis of the "
                'world that points upwards (z in most), or choose a model that needs no gravity.'
            )
        if config.floor and config.up == 'none':
            raise BackendError(
                "lifter.floor needs to know which way is up, but lifter.up is 'none'; name the axis of the world that "
                'points upwards (z in most), or switch the floor off.'
            )
        self._up = config.up
        self._backend: InferenceBackend = create_backend(path, config.engine)
        inputs = self._backend.inputs
        given = {spec.name: spec.shape for spec in inputs}
        declared = {name: (None, *shape) for name, shape in self.card.input_shapes.items()}
        if given != declared:
            self.close()
            takes = ', '.join(map(str, inputs))
            says = ', '.join(f'{name} (any, {shape[1:]})' for name, shape in declared.items())
            raise BackendError(f"Lifter '{path}' takes {takes}, its card says {says}; export it again.")
        warm_up(self._backend, _BATCHES)

    @property
    def provider(self) -> str:
        """What the model runs on."""
        return self._backend.provider

    def up_in_cam(self, cam_from_world: FloatArray) -> FloatArray | None:
        """Return up (..., 3) in the frames of cameras (..., 3, 4), after the settings; None if it is not known."""
        return None if self._up == 'none' else up_in_cameras(cam_from_world, self._up)

    def height_m(self, cam_from_world: FloatArray) -> FloatArray | None:
        """Return how high (...,), m, cameras (..., 3, 4) are above the plane through the origin; None as for up."""
        return None if self._up == 'none' else camera_heights(cam_from_world, self._up)

    def canonical(
        self, xn: FloatArray, confidence: FloatArray, up_in_cam: FloatArray | None = None
    ) -> CanonicalPoses:
        """Return the model's input for keypoints (C, B, J, 2) and confidences (C, B, J); ``up_in_cam`` as for lift.

        Raises:
            BackendError: if the model needs gravity and ``up_in_cam`` is None.
        """
        if not self.card.gravity:
            return canonical_poses(xn, confidence)
        if up_in_cam is None:
            raise BackendError(
                f"Lifter '{self.card.name}' has to know which way is up: give up_in_cam (C, 3), or choose a model that "
                'needs no gravity.'
            )
        return canonical_poses(xn, confidence, up_in_cam if up_in_cam.ndim == 3 else up_in_cam[:, None])

    def lift(
        self, xn: FloatArray, confidence: FloatArray, windows: Windows | None = None, *,
        up_in_cam: FloatArray | None = None, height_m: FloatArray | None = None, lengths: FloatArray | None = None,
    ) -> LiftedPoses:
        """Lift B bodies seen by C views, and place them with all that is known, see root.place.

        Args:
            xn: (C, B, J, 2) undistorted normalised keypoints, NaN = not seen.
            confidence: (C, B, J) in [0, 1], 0 = not used.
            windows: makes windows (C, B, T, J, 3) of poses (C, B, J, 3) for a lifter of T frames; None: the poses
                repeat.
            up_in_cam: (C, 3), or (C, B, 3) where a row holds views of several cameras: unit vectors, the world's up in
                each camera's frame (``up_in_cam`` makes them); only models that know gravity, and the floor, need it.
            height_m: (C,), or (C, B) as for ``up_in_cam``: height of the cameras above the floor (``height_m`` makes
                it); None: no floor.
            lengths: (B, 16) m, known bone lengths along the edges of body17, NaN = unknown; None: none is known.

        Returns:
            Poses and roots in the cameras' frames; NaN where a view sees fewer joints than a pose needs.

        Raises:
            ShapeError: if the arrays do not agree.
            BackendError: if the engine fails, or the model needs ``up_in_cam`` and it is None.
        """
        if xn.ndim != 4 or xn.shape != (*confidence.shape, 2) or xn.shape[2] != len(BODY17):
            raise ShapeError(
                f'PoseLifter: received keypoints {xn.shape} and confidence {confidence.shape}, '
                f'expected (C, B, {len(BODY17)}, 2) and (C, B, {len(BODY17)}).'
            )
        canonical = self.canonical(xn, confidence, up_in_cam)
        usable = np.isfinite(canonical.size)
        pose, root = np.full((*confidence.shape, 3), np.nan), np.full((*usable.shape, 3), np.nan)
        sigma = np.full(confidence.shape, np.nan)
        if not usable.any():
            return LiftedPoses(pose, sigma, root)
        batch = canonical.pose2d[usable]
        window = batch[:, None]
        if self.card.receptive_field > 1:
            repeated = batch[:, None].repeat(self.card.receptive_field, 1)
            window = repeated if windows is None else windows(canonical.pose2d)[usable]
        given, growth = {INPUT_NAME: window}, np.ones(len(batch))
        if self.card.gravity:
            given[VIEW_NAME], growth = within_range(canonical.view[usable], self.card.input_range)
        lifted = self._backend.infer(given)
        xyz, errors = lifted['xyz'].astype(float), growth[:, None] * lifted['sigma'].astype(float)
        rows = np.flatnonzero(usable)
        view_from_cam = canonical.view_from_cam.reshape(-1, 3, 3)
        up = height = None
        if height_m is not None and up_in_cam is not None:
            up = (view_from_cam[rows] @ _of_views(up_in_cam, usable, 3)[..., None])[..., 0]
            height = _of_views(height_m, usable, 2)
        # Confidence 0 and not seen are the same, so that the zeros of unseen rays do not count.
        found = locate_root(
            xyz, errors, canonical.rays[usable], batch[..., 2].astype(np.float64), up=up, height_m=height,
            lengths=None if lengths is None else lengths[np.nonzero(usable)[1]],
        )
        flat = pose.reshape(-1, *pose.shape[2:]), root.reshape(-1, 3)
        turn_back(rows, xyz, found.root, found.scale, view_from_cam, *flat)
        sigma[usable] = errors
        return LiftedPoses(pose, sigma, root)

    def close(self) -> None:
        """Free the model."""
        self._backend.close()


def _of_views(given: FloatArray, usable: BoolArray, per_view: int) -> FloatArray:
    """Return what is ``given`` per camera (C, ...), or per view (C, B, ...), with ``per_view`` axes, of ``usable``."""
    if given.ndim == per_view:
        return given[usable]
    return given[np.nonzero(usable)[0]]
