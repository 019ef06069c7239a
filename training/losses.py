# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The losses of Li et al. (AAAI 2020) and ours, by name.

Poses are in the frames of views (virtual cameras that look at the person), metres; N frames, K lifted views, M
measured views, J joints.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .data.bank import Batch, mirror
from .distributed import mean_over_processes
from .model import Lifted
from .settings import LossSettings

_EPSILON = 1e-12
# Depths below this are bent upwards smoothly; clamping them would kill the gradient that could repair them.
_NEAR_M = 0.3


def solve_root(pose: Tensor, rays: Tensor, weights: Tensor) -> Tensor:
    """Return the root (..., 3), m: geo_pose_ros.lifting.root.solve_root for tensors, differentiable.

    ``rays`` are finite here, and unseen joints have weight 0.
    """
    w = (weights / weights.sum(-1, keepdim=True).clamp(min=1e-6))[..., None]
    u = pose[..., :2] - rays * pose[..., 2:]
    mean_x, mean_u = (w * rays).sum(-2), (w * u).sum(-2)
    var_x = (w * (rays - mean_x[..., None, :]) ** 2).sum((-1, -2))
    var_u = (w * (u - mean_u[..., None, :]) ** 2).sum((-1, -2))
    depth = ((var_u + 1e-9) / (var_x + 1e-9)).sqrt()[..., None]
    return torch.cat((mean_x * depth - mean_u, depth), -1)


def project(xyz: Tensor) -> Tensor:
    """Return x/z, y/z (..., 2) of points (..., 3); depth stays positive."""
    depth = _NEAR_M + torch.nn.functional.softplus(xyz[..., 2:] - _NEAR_M, beta=5.0)
    return xyz[..., :2] / depth


def to_world(view_from_world: Tensor, xyz: Tensor) -> Tensor:
    """Return points (..., J, 3) of views with ``view_from_world`` (..., 3, 4) in the world."""
    return (xyz - view_from_world[..., None, :, 3]) @ view_from_world[..., :3]


def to_view(view_from_world: Tensor, xyz: Tensor) -> Tensor:
    """Return points (..., J, 3) of the world in views with ``view_from_world`` (..., 3, 4)."""
    return xyz @ view_from_world[..., :3].transpose(-1, -2) + view_from_world[..., None, :, 3]


def length(vectors: Tensor) -> Tensor:
    """Return the Euclidean lengths of vectors (..., D); differentiable at 0."""
    return (vectors.square().sum(-1) + _EPSILON).sqrt()


def mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean, 0 if nothing has weight.

    Of several processes each returns its part of the mean over all: the mean of what they return is that mean.
    """
    return (values * weights).sum() / mean_over_processes(weights.sum()).clamp(min=1e-6)


def agreement(world: Tensor) -> Tensor:
    """L_pre: mean distance between the K views' global poses ``world`` (N, K, J, 3), over all ordered pairs.

    The distance does not depend on the frame it is measured in, so tau_12 Y1 - Y2 is measured in the world.
    """
    views = world.shape[1]
    pairs = length(world[:, :, None] - world[:, None])
    return pairs.sum() / (len(world) * views * (views - 1) * world.shape[2])


def reprojection(world: Tensor, batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor]:
    """L_r and L_t, px per joint: the K global poses ``world`` (N, K, J, 3) projected into the M views.

    A pose in its own view is re-projection, in another one transform re-projection. The weight of a joint is the
    confidence of the source view (as printed in the paper), of the target view, their product, or none.
    """
    lifted, measured = world.shape[1], batch.rays.shape[1]
    seen_from = to_view(batch.view_from_world[:, None], world[:, :, None])
    pixels = length(project(seen_from) - batch.rays[:, None]) * batch.focal_px[:, None, :, None]
    if settings.saturation_px:
        pixels = pixels * settings.saturation_px / (pixels + settings.saturation_px)
    target, source = batch.confidence[:, None], batch.confidence[:, :lifted, None]
    weights = (target > 0.0).to(pixels).expand_as(pixels)
    if settings.confidence in ('target', 'product'):
        weights = weights * target
    if settings.confidence in ('source', 'product'):
        weights = weights * source
    own = torch.eye(lifted, measured, dtype=pixels.dtype, device=pixels.device)[None, :, :, None]
    return mean(pixels, weights * own), mean(pixels, weights * (1.0 - own))


def label_distances(pose: Tensor, batch: Batch, origin: str) -> tuple[Tensor, Tensor]:
    """Return the distances (N, K, J), m, of ``pose`` (N, K, J, 3) from the labels, and their weights.

    The two are first moved so that the roots meet: then the root's own error is in every joint's distance, and a frame
    whose root is unknown cannot be used. Or so that the weighted centroids meet: then one joint's error counts once.
    """
    weights = batch.label_weight
    difference = pose - batch.label
    if origin == 'root':
        weights = weights * (weights[..., :1] > 0.0)
        offset = difference[..., :1, :]
    else:
        share = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
        offset = (share[..., None] * difference).sum(-2, keepdim=True)
    return length(difference - offset), weights


def sigma_likelihood(error: Tensor, sigma: Tensor) -> Tensor:
    """Negative log-likelihood of errors (m) under an isotropic 3D Gaussian of standard deviation ``sigma`` per axis."""
    return 0.5 * (error.detach() / sigma).square() + 3.0 * sigma.log()


def compute_losses(
    lifted: Lifted, branch_root: Tensor | None, batch: Batch, settings: LossSettings, *, pretraining: bool
) -> dict[str, Tensor]:
    """Return the losses by name, with their weighted sum as ``total``.

    Args:
        lifted: xyz (N, K, J, 3), sigma (N, K, J), mirrored as the batch's windows are.
        branch_root: (N, K, 3) from the second branch, mirrored alike; None: the root is solved from the pose.
        batch: the measurements.
        pretraining: only L_pre counts.
    """
    pose = lifted.xyz
    views = pose.shape[1]
    losses: dict[str, Tensor] = {}
    total = pose.new_zeros(())
    cameras = batch.view_from_world[:, :views]
    uses_root = pretraining or settings.reprojection or settings.transform
    if uses_root:
        seen = mirror(pose, batch.flip)
        if branch_root is None:
            position = solve_root(seen, batch.rays[:, :views], batch.confidence[:, :views])
        else:
            position = torch.where(batch.flip[..., None], branch_root * pose.new_tensor([-1.0, 1.0, 1.0]), branch_root)
        world = to_world(cameras, seen + position[..., None, :])
        if pretraining:
            losses['agreement'] = agreement(world)
            return {**losses, 'total': losses['agreement']}
        losses['reprojection'], losses['transform'] = reprojection(world, batch, settings)
        total = total + settings.reprojection * losses['reprojection'] + settings.transform * losses['transform']
    if settings.label:
        error, weights = label_distances(pose, batch, settings.label_origin)
        losses['label'] = mean(error, weights)
        total = total + settings.label * losses['label']
        if settings.sigma:
            losses['sigma'] = mean(sigma_likelihood(error, lifted.sigma), weights)
            total = total + settings.sigma * losses['sigma']
    return {**losses, 'total': total}
