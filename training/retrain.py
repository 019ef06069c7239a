"""Fine-tuning of an exported lifter on a bag, and its check on a camera that was held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geo_pose_ros.config import build, flatten
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.inference.model_card import load_card

from .data.labels import refined
from .data.prepare import prepare
from .data.sequence import Sequence
from .evaluate import Predictor, lift_sequence, pose_errors_mm
from .fit import Trainer
from .model import Lifter
from .settings import ModelSettings, Recipe


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Errors of one camera's lifted poses against the triangulation of the others."""

    poses: int
    mpjpe_mm: float
    p_mpjpe_mm: float


def load_exported(model: Path) -> Lifter:
    """Return the network of an exported ONNX file, with its weights, in evaluation mode.

    Raises:
        BackendError: if the model or its card is missing or they do not belong together.
        ConfigError: if the card does not say how the network is built, or the weights do not fit.
    """
    import onnx

    card = load_card(model)
    try:
        settings = build(ModelSettings, flatten(card.training['recipe']['model']))
    except KeyError as error:
        raise ConfigError(f"The card of '{model}' lacks training.recipe.model; export the model again.") from error
    graph = onnx.load(str(model)).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    # Equal initialisers are stored once and aliased.
    for node in graph.node:
        if node.op_type == 'Identity' and node.input[0] in arrays:
            arrays[node.output[0]] = arrays[node.input[0]]
    lifter = Lifter(len(card.joints), settings, card.joints.index(card.root_joint))
    state = lifter.state_dict()
    missing = {name for name in state if f'lifter.{name}' not in arrays and not name.endswith('num_batches_tracked')}
    if missing:
        raise ConfigError(
            f"'{model}' lacks the weights {sorted(missing)[:3]}...; it was not written by geo_pose export."
        )
    weights = {
        name: torch.from_numpy(np.array(arrays[f'lifter.{name}'])) for name in state if f'lifter.{name}' in arrays
    }
    lifter.load_state_dict(weights, strict=False)
    return lifter.eval()


def fine_tune(lifter: Lifter, sequences: list[Sequence], recipe: Recipe, seed: int = 0) -> Trainer:
    """Return the trainer after fine-tuning ``lifter``, in place, on all of ``sequences``.

    Batch norm keeps the statistics it was trained with: one person before one rig would distort them.
    """
    bank = prepare(sequences, recipe.data, seed, gravity=recipe.model.gravity)
    trainer = Trainer(recipe, bank, seed=seed)
    trainer.networks.lifter.load_state_dict(lifter.state_dict())
    trainer.freeze_normalisation()
    while trainer.step < recipe.optim.steps:
        trainer.train_epoch()
    lifter.load_state_dict(trainer.lifter.state_dict())
    return trainer


def check_held_out(
    predict: Predictor, whole: Sequence, trained_on: tuple[str, ...], camera: str, frames: slice, **options: Any
) -> HeldOut:
    """Lift ``camera`` alone on ``frames`` and compare with the triangulation of the cameras ``trained_on``.

    The triangulation is that of the training labels, over the whole sequence, so that it has its neighbours in time.

    Raises:
        ConfigError: if the camera was trained on, or none of its frames could be lifted.
    """
    if camera in trained_on:
        raise ConfigError(f"Camera '{camera}' is trained on; hold out another one.")
    known = whole.views(trained_on)
    world, _ = refined(known.cam_from_world, known.focal_px, known.rays(), known.confidence, known.fps)
    alone = whole.views((camera,))
    lifted = lift_sequence(predict, alone, **options)
    expected = transform_points(alone.cam_from_world[0], world)[frames]
    poses = lifted.xyz[frames, 0]
    done = np.isfinite(poses).all((1, 2)) & np.isfinite(expected).all((1, 2))
    if not done.any():
        raise ConfigError(f"Camera '{camera}' shows no whole person on these frames; choose another camera or frames.")
    errors = pose_errors_mm(poses[done], expected[done])
    return HeldOut(int(done.sum()), float(errors['mpjpe'].mean()), float(errors['p_mpjpe'].mean()))
