# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of BlazePose's keypoint network on labelled crops.

Only the branch that regresses landmarks is trained: it says roughly where each is, and which side is the left one. The
heat maps, by which landmarks are refined, and all features stay as they are, so that a few minutes of one room do not
spoil them.

A landmark of a limb learns where the fused body is projected, if the untaught network is wrong by more than a few px.
All else (face, hands, feet, visibility, presence, what is right) learns what the untaught network said, the sides of
limbs exchanged where it had them exchanged. On crops that are rehearsed all landmarks learn that, so that nothing is
forgotten (Li and Hoiem, "Learning without Forgetting", 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.detection.blazepose.keypoints import INPUT_CROP, refine
from geo_pose_ros.detection.blazepose.keypoints import LANDMARKS as COUNT
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.skeleton import BLAZEPOSE33, mirror_of

from .crops import LANDMARKS, Crops
from .network import OnnxNetwork
from .settings import TeachSettings

_SIDE = float(INPUT_CROP.width)
# Landmarks are this uncertain at best, px of the crop; a larger distance counts linearly.
_LEAST_SIGMA, _LINEAR = 2.0, 6.0
# Nearer than this to the label, px, the untaught network is right.
_RIGHT = 12.0
# Of crops of people from the front, or from behind, less of all than this count no more.
_RARE = 0.1
# Crops that the network reads at once.
_BATCH = 16
# The landmarks of each limb, by body17's limb groups: with hands and feet.
_ARMS, _LEGS = ((11, 12, 13, 14, 15, 16), range(11, 23)), ((23, 24, 25, 26, 27, 28), range(23, 33))
_MIRROR = np.array(mirror_of(BLAZEPOSE33))


class Targets(NamedTuple):
    """What N crops are to give.

    Attributes:
        xy: (N, 39, 2) px of the crop.
        weight: (N, 39) of the landmarks.
        rest: (N, 39, 3) z, visibility and presence of the landmarks.
        presence: (N, 1).
    """

    xy: Tensor
    weight: Tensor
    rest: Tensor
    presence: Tensor


def load_network(model: Path) -> OnnxNetwork:
    """Return a BlazePose keypoint network to be taught.

    Raises:
        BackendError: if the file is missing or no ONNX file.
        ConfigError: if it is another kind of network.
    """
    network, side = OnnxNetwork(model), INPUT_CROP.width
    with torch.no_grad():
        given = {name: tuple(value.shape[1:]) for name, value in network(torch.zeros(1, 3, side, side)).items()}
    wanted = {'landmarks': (5 * COUNT,), 'presence': (1,), 'heatmap': (64, 64, COUNT)}
    if given != wanted:
        raise ConfigError(f"'{model}' gives {given}, expected {wanted}; teach blazepose_full or one made from it.")
    return network


def predict(network: OnnxNetwork, crops: Crops) -> FloatArray:
    """Return the landmarks (N, 39, 2), px of the crop, as the detector decodes them."""
    with torch.no_grad():
        return np.concatenate([_refined(network(_tensor_of(part))) for part in _parts(crops)])


def exchanged_limbs(found: FloatArray, labels: FloatArray) -> list[tuple[range, np.ndarray]]:
    """Return, of arms and of legs, their landmarks and in which crops (N,) their sides are exchanged.

    Args:
        found: (N, 39 or 33, 2) landmarks.
        labels: (N, 12, 2), NaN = unknown.
    """
    wanted = np.full((len(found), len(BLAZEPOSE33), 2), np.nan)
    wanted[:, LANDMARKS] = labels
    own = found[:, : len(BLAZEPOSE33)]
    result = []
    for joints, limb in (_ARMS, _LEGS):
        straight, crossed = (
            np.nansum(np.linalg.norm(seen[:, joints] - wanted[:, joints], axis=-1), -1)
            for seen in (own, own[:, _MIRROR])
        )
        result.append((limb, crossed < straight))
    return result


def targets_of(outputs: Mapping[str, Tensor], crops: Crops) -> Targets:
    """Return what crops are to give, by their labels and the untaught network's ``outputs``."""
    marks, best = outputs['landmarks'].reshape(-1, COUNT, 5).clone(), torch.from_numpy(_refined(outputs)).float()
    for limb, exchanged in exchanged_limbs(best.double().numpy(), crops.xy):
        rows = torch.from_numpy(np.flatnonzero(exchanged))
        for values in (marks, best):
            values[rows[:, None], list(limb)] = values[rows[:, None], _MIRROR[list(limb)]]
    weight, rehearsed = torch.full(marks.shape[:2], 0.2), torch.from_numpy(crops.rehearsed)
    labels, sigma = torch.from_numpy(crops.xy).float(), torch.from_numpy(crops.sigma).float()
    labelled = torch.isfinite(labels).all(-1) & torch.isfinite(sigma) & ~rehearsed[:, None]
    apart = (best[:, LANDMARKS] - labels).norm(dim=-1)
    wrong = (labelled & (apart > _RIGHT))[..., None]
    best[:, LANDMARKS] = torch.where(wrong, labels, best[:, LANDMARKS])
    weight[:, LANDMARKS] = torch.where(labelled, 1.0 / (1.0 + (sigma / _LEAST_SIGMA) ** 2), weight[:, LANDMARKS])
    # Where it is wrong, there is nothing to rehearse.
    weight[rehearsed & ~(apart.nanmedian(1).values < _RIGHT)] = 0.0
    return Targets(best, weight, marks[..., 2:], outputs['presence'])


def teach(
    network: OnnxNetwork, crops: Crops, settings: TeachSettings, seed: int = 0,
    say: Callable[[int, dict[str, float]], None] | None = None,
) -> None:
    """Train ``network`` in place; it becomes the mean over the last two thirds of the steps.

    Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018.

    Args:
        network: to be taught.
        crops: N.
        settings: of the training.
        seed: of the batches.
        say: gets the step and the losses now and then.
    """
    trained = network.train_apart_from('heatmap')
    features, targets = _prepared(network, crops)
    # Normalisation is folded into the weights, so that their sizes differ by orders of magnitude.
    rates = [settings.learning_rate * float(weight.detach().square().mean().sqrt()) for weight in trained]
    optimiser = torch.optim.Adam([{'params': [w], 'lr': rate} for w, rate in zip(trained, rates, strict=True)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=settings.steps, pct_start=0.15)
    generator, share = torch.Generator().manual_seed(seed), torch.from_numpy(shares(crops))
    means, averaged = [torch.zeros_like(weight) for weight in trained], settings.steps // 3
    for step in range(settings.steps):
        chosen = torch.multinomial(share, settings.batch, replacement=True, generator=generator)
        outputs = network.outputs({
            name: _with_hidden(values[chosen].float(), settings.hidden, generator) for name, values in features.items()
        })
        losses = losses_of(outputs, Targets(*(one[chosen] for one in targets)), settings.kept)
        optimiser.zero_grad()
        torch.autograd.backward(losses['total'])
        torch.nn.utils.clip_grad_norm_(trained, 5.0)
        optimiser.step()
        schedule.step()
        for mean, weight in zip(means, trained, strict=True):
            mean += weight.detach() / (settings.steps - averaged) if step >= averaged else 0.0
        if say is not None and (step % 25 == 0 or step == settings.steps - 1):
            say(step, {name: float(value.detach()) for name, value in losses.items()})
    with torch.no_grad():
        for mean, weight in zip(means, trained, strict=True):
            weight.copy_(mean)


def shares(crops: Crops) -> FloatArray:
    """Return how often (N,) each crop is trained on: people from the front as often as people from behind.

    Cameras that see people from one side alone would teach that the left arm is always on the same side of the image.
    """
    left, right = crops.xy[:, ::2], crops.xy[:, 1::2]
    shoulders, hips = (0.5 * (left + right)[:, row] for row in (0, 3))
    up, across = shoulders - hips, (left - right)[:, [0, 3]].mean(1)
    turned = across[:, 1] * up[:, 0] - across[:, 0] * up[:, 1]
    front, share = turned > 0.0, float((turned > 0.0).sum() / max(np.isfinite(turned).sum(), 1))
    weight = np.where(front, 1.0 / max(share, _RARE), 1.0 / max(1.0 - share, _RARE))
    # Where the trunk is cut off, nobody knows.
    weight[np.isnan(turned)] = 2.0
    return np.asarray(weight / weight.sum())


def losses_of(outputs: Mapping[str, Tensor], targets: Targets, kept: float) -> dict[str, Tensor]:
    """Return the losses by name, with ``total``: the landmarks' and, times ``kept``, what is to stay as it was."""
    marks = outputs['landmarks'].reshape(-1, COUNT, 5)
    apart = functional.huber_loss(marks[..., :2], targets.xy, delta=_LINEAR, reduction='none').sum(-1)
    losses = {
        'landmarks': 2.0 * (apart * targets.weight).sum() / (_LINEAR * len(marks) * len(LANDMARKS)),
        'rest': kept * 0.01 * functional.smooth_l1_loss(marks[..., 2:], targets.rest),
        'presence': kept * functional.mse_loss(outputs['presence'], targets.presence),
    }
    losses['total'] = torch.stack(list(losses.values())).sum()
    return losses


def _prepared(network: OnnxNetwork, crops: Crops) -> tuple[dict[str, Tensor], Targets]:
    """Return what the trained weights work on, in half precision, and the targets, of all crops."""
    features, targets = [], []
    with torch.no_grad():
        for part in _parts(crops):
            found = network.features(_tensor_of(part))
            targets.append(targets_of(network.outputs(found), part))
            features.append({name: value.half() for name, value in found.items() if name != 'heatmap'})
    whole = {name: torch.cat([one[name] for one in features]) for name in features[0]}
    return whole, Targets(*map(torch.cat, zip(*targets, strict=True)))


def _with_hidden(features: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return (N, C, ...) with a ``share`` of the channels 0 (Tompson et al., "Spatial dropout", 2015)."""
    shown = torch.rand(features.shape[:2], generator=generator) >= share
    return features * shown.reshape(*shown.shape, *[1] * (features.ndim - 2)) / (1.0 - share)


def _refined(outputs: Mapping[str, Tensor]) -> FloatArray:
    """Return the landmarks (N, 39, 2), px of the crop, moved to the heat around them."""
    xy = outputs['landmarks'].reshape(-1, COUNT, 5)[..., :2].double().numpy()
    return _SIDE * refine(xy / _SIDE, outputs['heatmap'].numpy())


def _tensor_of(crops: Crops) -> Tensor:
    return torch.from_numpy(INPUT_CROP.to_tensor(crops.images))


def _parts(crops: Crops) -> list[Crops]:
    every = np.arange(len(crops))
    return [crops.rows(every[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)]
