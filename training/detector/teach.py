# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of BlazePose's keypoint network on labelled crops.

A landmark of a limb learns where the fused body is projected. What has no label (face, hands, feet, visibility,
presence, heat) learns what the untaught network said, the sides of limbs exchanged where it had them exchanged. On
crops that are rehearsed all landmarks learn that, so that nothing is forgotten (Li and Hoiem, "Learning without
Forgetting", 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.detection.blazepose.keypoints import INPUT_CROP, LEAST_HEAT, REACH
from geo_pose_ros.detection.blazepose.keypoints import LANDMARKS as COUNT
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.skeleton import BLAZEPOSE33, mirror_of

from .crops import LANDMARKS, Crops
from .network import OnnxNetwork
from .settings import TeachSettings

_SIDE = float(INPUT_CROP.width)
# Landmarks are this uncertain at best, px of the crop; a larger distance counts linearly.
_LEAST_SIGMA, _LINEAR = 2.0, 6.0
# Nearer than this to the label, px, the untaught network's heat is right.
_RIGHT = 12.0
# The landmarks of each limb, by body17's limb groups: with hands and feet.
_ARMS, _LEGS = ((11, 12, 13, 14, 15, 16), range(11, 23)), ((23, 24, 25, 26, 27, 28), range(23, 33))
_MIRROR = np.array(mirror_of(BLAZEPOSE33))


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What N crops are to give.

    Attributes:
        xy: (N, 39, 2) px of the crop.
        weight: (N, 39) of the landmarks.
        rest: (N, 39, 3) z, visibility and presence of the landmarks.
        presence: (N, 1).
        heat: (N, 64, 64, 39) in [0, 1], half precision.
        warm: (N, 39) whether the heat is known.
    """

    xy: Tensor
    weight: Tensor
    rest: Tensor
    presence: Tensor
    heat: Tensor
    warm: Tensor

    def rows(self, index: Tensor) -> Targets:
        """Return the crops ``index`` alone."""
        return Targets(*(getattr(self, name)[index] for name in self.__slots__))


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


def decoded(outputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the landmarks (N, 39, 2) px of the crop as regressed, and as the heat around them says.

    As ``blazepose.keypoints.refine``, differentiable.
    """
    xy = outputs['landmarks'].reshape(-1, COUNT, 5)[..., :2]
    heat = outputs['heatmap'].permute(0, 3, 1, 2)
    count, _, height, width = heat.shape
    scale = torch.tensor([width, height]) / _SIDE
    cell = torch.trunc(xy.detach() * scale).long()
    around = torch.arange(-REACH, REACH + 1)
    columns, rows = cell[..., :1] + around, cell[..., 1:] + around
    valid = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    index = rows.clamp(0, height - 1)[..., :, None] * width + columns.clamp(0, width - 1)[..., None, :]
    values = heat.reshape(count, COUNT, -1).gather(2, index.flatten(2)).reshape(index.shape)
    warmth = torch.sigmoid(values) * valid
    total = warmth.sum((-1, -2)).clamp_min(1e-12)
    centre = torch.stack(
        [(warmth * columns[..., None, :]).sum((-1, -2)), (warmth * rows[..., :, None]).sum((-1, -2))], -1
    ) / total[..., None]
    inside = ((cell >= 0) & (cell < torch.tensor([width, height]))).all(-1)
    warm = inside & (warmth.amax((-1, -2)) >= LEAST_HEAT)
    return xy, torch.where(warm[..., None], centre / scale, xy)


def tensor_of(crops: Crops) -> Tensor:
    """Return the crops as the network takes them."""
    return torch.from_numpy(INPUT_CROP.to_tensor(crops.images))


def predict(network: OnnxNetwork, crops: Crops, batch: int = 16) -> FloatArray:
    """Return the landmarks (N, 39, 2), px of the crop, as the detector decodes them."""
    with torch.no_grad():
        parts = [decoded(network(tensor_of(part)))[1] for part in _parts(crops, batch)]
    return torch.cat(parts).double().numpy()


def targets_of(untaught: Callable[[Tensor], dict[str, Tensor]], crops: Crops, batch: int = 16) -> Targets:
    """Return what the crops are to give, by their labels and the untaught network."""
    with torch.no_grad():
        made = [_targets(untaught(tensor_of(part)), part) for part in _parts(crops, batch)]
    return Targets(*(torch.cat([getattr(one, name) for one in made]) for name in Targets.__slots__))


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


def _targets(outputs: dict[str, Tensor], crops: Crops) -> Targets:
    """Return the targets of some crops; ``outputs`` are the untaught network's."""
    marks = outputs['landmarks'].reshape(-1, COUNT, 5).clone()
    heat = torch.sigmoid(outputs['heatmap'])
    best = decoded(outputs)[1]
    for limb, exchanged in exchanged_limbs(best.double().numpy(), crops.xy):
        rows = torch.from_numpy(np.flatnonzero(exchanged))
        for values in (marks, best):
            values[rows[:, None], list(limb)] = values[rows[:, None], _MIRROR[list(limb)]]
        heat[rows[:, None], :, :, list(limb)] = heat[rows[:, None], :, :, _MIRROR[list(limb)]]
    xy, weight, warm = best, torch.full(marks.shape[:2], 0.2), torch.ones(marks.shape[:2], dtype=torch.bool)
    labels, sigma = torch.from_numpy(crops.xy).float(), torch.from_numpy(crops.sigma).float()
    labelled = torch.isfinite(labels).all(-1) & torch.isfinite(sigma) & ~torch.from_numpy(crops.rehearsed)[:, None]
    sure = 1.0 / (1.0 + (sigma / _LEAST_SIGMA) ** 2)
    apart = (xy[:, LANDMARKS] - labels).norm(dim=-1)
    xy[:, LANDMARKS] = torch.where(labelled[..., None], labels, xy[:, LANDMARKS])
    weight[:, LANDMARKS] = torch.where(labelled, sure, weight[:, LANDMARKS])
    warm[:, LANDMARKS] &= ~labelled | (apart < _RIGHT)
    # Where it is wrong, there is nothing to rehearse.
    wrong = torch.from_numpy(crops.rehearsed) & ~(apart.nanmedian(1).values < _RIGHT)
    weight[wrong], warm[wrong] = 0.0, False
    return Targets(xy, weight, marks[..., 2:], outputs['presence'], heat.half(), warm)


def teach(
    network: OnnxNetwork, crops: Crops, targets: Targets, settings: TeachSettings, seed: int = 0,
    say: Callable[[int, dict[str, float]], None] | None = None,
) -> None:
    """Train ``network`` in place.

    Args:
        network: to be taught.
        crops: N.
        targets: theirs.
        settings: of the training.
        seed: of the batches.
        say: gets the step and the losses now and then.
    """
    trained = network.train_last(settings.share)
    # Normalisation is folded into the weights, so that their sizes differ by orders of magnitude.
    rates = [settings.learning_rate * float(weight.detach().square().mean().sqrt()) for weight in trained]
    optimiser = torch.optim.Adam([{'params': [w], 'lr': rate} for w, rate in zip(trained, rates, strict=True)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=settings.steps, pct_start=0.15)
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(0, dtype=torch.long)
    for step in range(settings.steps):
        if len(order) < settings.batch:
            order = torch.cat([order, torch.randperm(len(crops), generator=generator)])
        chosen, order = order[: settings.batch], order[settings.batch :]
        losses = losses_of(network(tensor_of(crops.rows(chosen.numpy()))), targets.rows(chosen), settings.kept)
        optimiser.zero_grad()
        torch.autograd.backward(losses['total'])
        torch.nn.utils.clip_grad_norm_(trained, 5.0)
        optimiser.step()
        schedule.step()
        if say is not None and (step % 10 == 0 or step == settings.steps - 1):
            say(step, {name: float(value.detach()) for name, value in losses.items()})


def losses_of(outputs: dict[str, Tensor], targets: Targets, kept: float) -> dict[str, Tensor]:
    """Return the losses by name, with ``total``: the landmarks' and, times ``kept``, what is to stay as it was."""
    regressed, refined = decoded(outputs)
    rest = outputs['landmarks'].reshape(-1, COUNT, 5)[..., 2:]
    weight = targets.weight / (len(targets.weight) * len(LANDMARKS))
    losses = {
        name: (functional.huber_loss(xy, targets.xy, delta=_LINEAR, reduction='none').sum(-1) * weight).sum() / _LINEAR
        for name, xy in (('regressed', regressed), ('refined', refined))
    }
    heat = functional.binary_cross_entropy_with_logits(outputs['heatmap'], targets.heat.float(), reduction='none')
    least = functional.binary_cross_entropy(targets.heat.float(), targets.heat.float(), reduction='none')
    known = targets.warm[:, None, None].expand_as(heat)
    losses['heat'] = kept * 20.0 * ((heat - least) * known).mean()
    losses['rest'] = kept * 0.01 * functional.smooth_l1_loss(rest, targets.rest)
    losses['presence'] = kept * functional.mse_loss(outputs['presence'], targets.presence)
    losses['total'] = torch.stack(list(losses.values())).sum()
    return losses


def _parts(crops: Crops, batch: int) -> list[Crops]:
    every = np.arange(len(crops))
    return [crops.rows(every[start : start + batch]) for start in range(0, len(crops), batch)]
