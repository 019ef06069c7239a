# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Export of a lifter to ONNX with its card, checked against torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from geo_pose_ros.arrays import Float32Array
from geo_pose_ros.errors import BackendError
from geo_pose_ros.inference.model_card import (
    GRAVITY_CONVENTION,
    INPUT_CONVENTION,
    INPUT_NAME,
    OUTPUT_NAMES,
    VIEW_NAME,
    VIEW_SIZE,
    InputRange,
    ModelCard,
    save_card,
    sha256,
)
from geo_pose_ros.skeleton import BODY17

from .evaluation.predictor import UNSCALED, Predictor, ScaledLifter, SigmaScale
from .model import InputWindow, Lifter

TOLERANCE_M = 1e-4
_OPSET = 17


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model card says of a lifter's origin and worth.

    Attributes:
        training: recipe, data, command and commit.
        metrics: measured values.
        input_range: what the lifter was trained on, see ModelCard.
        licence: of the weights.
        acknowledgement: who has to be named.
    """

    training: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, object] = field(default_factory=dict)
    licence: str = 'Apache-2.0'
    acknowledgement: str = ''
    input_range: InputRange = field(default_factory=dict)


def export(
    lifter: Lifter, model: Path, origin: Origin, samples: tuple[Float32Array, ...], *,
    sigma_scale: SigmaScale = UNSCALED, rate_hz: float = 0.0,
) -> ModelCard:
    """Write ``model`` (ONNX, dynamic batch) and its card; return the card.

    ONNX Runtime and torch must agree to 1e-4 m on random input and on ``samples`` of real input.

    Args:
        lifter: the network, of body17.
        model: where to write; its card lies beside it.
        origin: for the card.
        samples: real input to check on, as ``lifter_inputs`` returns it.
        sigma_scale: factors on the reported standard deviation, from its calibration.
        rate_hz: frames per second of a window; 0 for a lifter of one frame.

    Raises:
        BackendError: if the exported model gives other numbers than the network.
        ConfigError: if a lifter of several frames has no ``rate_hz``.
    """
    wrapped = ScaledLifter(lifter, sigma_scale).eval()
    shapes: dict[str, tuple[int, ...]] = {INPUT_NAME: (lifter.receptive_field, len(BODY17), 3)}
    if lifter.settings.gravity:
        shapes[VIEW_NAME] = (VIEW_SIZE,)
    rng = np.random.default_rng(0)
    random = tuple(rng.standard_normal((64, *shape)).astype(np.float32) for shape in shapes.values())
    model.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The exporter that needs nothing but torch announces its successor, which needs onnxscript.
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.onnx.export(
            wrapped, tuple(torch.from_numpy(given[:2]) for given in random), str(model), dynamo=False,
            opset_version=_OPSET,
            # Weights keep their names, so that `geo_pose retrain` can read them back.
            training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
            input_names=list(shapes), output_names=list(OUTPUT_NAMES),
            dynamic_axes={name: {0: 'batch'} for name in (*shapes, *OUTPUT_NAMES)},
        )
    for kind, given in (('random', random), ('real', samples)):
        _check(wrapped, model, kind, given)
    card = ModelCard(
        name=model.stem, skeleton=BODY17.name, receptive_field=lifter.receptive_field,
        causal=lifter.settings.causal, root_joint=BODY17.joint_names[lifter.root], sha256=sha256(model),
        licence=origin.licence, acknowledgement=origin.acknowledgement, training=dict(origin.training),
        metrics=dict(origin.metrics), rate_hz=rate_hz, input_range=origin.input_range,
        input_convention=GRAVITY_CONVENTION if lifter.settings.gravity else INPUT_CONVENTION,
    )
    save_card(card, model)
    return card


def _check(wrapped: ScaledLifter, model: Path, kind: str, given: tuple[Float32Array, ...]) -> None:
    """Raise BackendError if the exported model gives other numbers than the network."""
    with torch.no_grad():
        wanted = wrapped(*map(torch.from_numpy, given))
    found = Predictor.of_onnx(model, InputWindow.of(wrapped.lifter.settings))(*given)
    for name, want, have in zip(OUTPUT_NAMES, wanted, found, strict=True):
        worst = float(np.abs(want.numpy() - have).max()) if len(have) else 0.0
        if not worst <= TOLERANCE_M:
            raise BackendError(
                f"Export of '{model}': on {kind} input '{name}' differs by {worst:.2g} m between torch and ONNX "
                f'Runtime, expected at most {TOLERANCE_M:g}. Do not use the file; report versions of both.'
            )
