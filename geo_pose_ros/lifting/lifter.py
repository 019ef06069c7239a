"""The lifter at run time: every view of every body in one batch, each pose placed at its absolute root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import LifterConfig
from ..errors import BackendError, ShapeError
from ..inference.base import InferenceBackend, create_backend, warm_up
from ..inference.model_card import INPUT_NAME, VIEW_NAME, ModelCard, default_model, load_card
from ..skeleton import BODY17, FloatArray
from .canonical import CanonicalPoses, Poses, canonical_poses
from .gravity import up_in_cameras
from .root import solve_root

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
        self._up = config.up
        self._backend: InferenceBackend = create_backend(path, config.engine)
        inputs = self._backend.inputs
        given = {spec.name: spec.shape for spec in inputs}
        expected = {name: (None, *shape) for name, shape in self.card.input_shapes.items()}
        if given != expected:
            self.close()
            takes = ', '.join(map(str, inputs))
            says = ', '.join(f'{name} (any, {shape[1:]})' for name, shape in expected.items())
            raise BackendError(f"Lifter '{path}' takes {takes}, its card says {says}; export it again.")
        warm_up(self._backend, _BATCHES)

    @property
    def provider(self) -> str:
        """What the model runs on."""
        return self._backend.provider

    def up_in_cam(self, cam_from_world: FloatArray) -> FloatArray | None:
        """Return up (C, 3) in the frames of cameras (C, 3, 4), after the setting; None if the model needs none."""
        return up_in_cameras(cam_from_world, self._up) if self.card.gravity else None

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
        return canonical_poses(xn, confidence, up_in_cam[:, None])

    def lift(
        self, xn: FloatArray, confidence: FloatArray, windows: Windows | None = None, *,
        up_in_cam: FloatArray | None = None,
    ) -> LiftedPoses:
        """Lift B bodies seen by C views.

        Args:
            xn: (C, B, J, 2) undistorted normalised keypoints, NaN = not seen.
            confidence: (C, B, J) in [0, 1], 0 = not used.
            windows: makes windows (C, B, T, J, 3) of these poses (C, B, J, 3) for a lifter of T frames; None: the poses
                repeat.
            up_in_cam: (C, 3) unit vectors, the world's up in each camera's frame (``up_in_cam`` makes them); only
                models that know gravity read it.

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
        given = {INPUT_NAME: window}
        if self.card.gravity:
            given[VIEW_NAME] = canonical.view[usable]
        lifted = self._backend.infer(given)
        xyz = lifted['xyz'].astype(np.float64)
        # Confidence 0 and not seen are the same, so that the zeros of unseen rays do not count.
        place = solve_root(xyz, canonical.rays[usable], batch[..., 2].astype(np.float64))
        # Row vectors: times view_from_cam is the way back from the virtual camera to the real one.
        placed = np.concatenate((xyz, place[:, None]), 1) @ canonical.view_from_cam[usable]
        pose[usable], root[usable] = placed[:, :-1], placed[:, -1]
        sigma[usable] = lifted['sigma']
        return LiftedPoses(pose, sigma, root)

    def close(self) -> None:
        """Free the model."""
        self._backend.close()
