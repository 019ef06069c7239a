# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of an exported lifter on recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.inference.model_card import load_card
from geo_pose_ros.settings import build, flatten

from ..data.bank import Bank
from ..feed import Feed
from ..fit import Progress, fit
from ..model import Lifter
from ..settings import ModelSettings, Recipe
from ..trainer import Trainer


def load_exported(model: Path) -> Lifter:
    """Return the network of an exported ONNX file, with its weights, in evaluation mode.

    Raises:
        BackendError: if the model or its card is missing or they do not belong together.
        ConfigError: if the card lacks the settings of the network, or the weights do not fit.
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
            f"'{model}' lacks the weights {sorted(missing)[:3]}...; it was not written by geo_pose models export."
        )
    weights = {
        name: torch.from_numpy(np.array(arrays[f'lifter.{name}'])) for name in state if f'lifter.{name}' in arrays
    }
    lifter.load_state_dict(weights, strict=False)
    return lifter.eval()


def fine_tune(
    lifter: Lifter, feed: Feed, recipe: Recipe, folder: Path, seed: int = 0, *, rehearsal: Bank | None = None,
    resume: bool = False,
) -> Progress:
    """Fine-tune ``lifter``, in place, on ``feed``; return where it stands.

    Batch norm keeps the statistics it was trained with: one person before one rig would distort them.

    Args:
        lifter: as load_exported returns it.
        feed: what it is trained on.
        recipe: of the fine-tuning.
        folder: of checkpoints and losses.
        seed: of the batches.
        rehearsal: what every other step is taken on, see rehearsal.py; None: nothing.
        resume: continue from the checkpoint in ``folder``.

    Raises:
        ConfigError: if ``folder`` holds another run, or none to resume.
    """
    trainer = Trainer(recipe, feed.source, seed=seed, rehearsal=rehearsal, freeze_normalisation=True)
    trainer.networks.lifter.load_state_dict(lifter.state_dict())
    progress = fit(trainer, folder, {'hash': feed.hash}, resume=resume)
    lifter.load_state_dict(trainer.lifter.state_dict())
    return progress
