# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Everything a training run reads, prepared once as tensors, so that a batch is an index away.

All geometry is in the frames of the virtual cameras that look at the person (geo_pose_ros.lifting.canonical): they
share the real cameras' centres, so turning them changes no geometry, and the lifter's input is then also the
measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.inference.model_card import VIEW_PARTS, InputRange
from geo_pose_ros.lifting.canonical import CanonicalPoses
from geo_pose_ros.skeleton import BODY17, mirror_of


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalViews:
    """What V views see of a person over F frames.

    Attributes:
        poses: canonical 2D poses (F, V, J).
        cam_from_world: (V, 3, 4).
        focal_px: (V,).
    """

    poses: CanonicalPoses
    cam_from_world: FloatArray
    focal_px: FloatArray

    def beside(self, other: CanonicalViews) -> CanonicalViews:
        """Return the views of both."""
        poses = CanonicalPoses._make(
            np.concatenate((getattr(self.poses, name), getattr(other.poses, name)), 1) for name in self.poses._fields
        )
        return CanonicalViews(
            poses, np.concatenate((self.cam_from_world, other.cam_from_world)),
            np.concatenate((self.focal_px, other.focal_px)),
        )


@dataclass(slots=True)
class Bank:
    """F frames of V views of J joints.

    Attributes:
        pose2d: (F, V, J, 3) the lifter's input.
        view: (F, V, 2) the other input of a lifter that knows gravity; 0 without.
        size: (F, V) to multiply pose2d's x, y by to get x/z, y/z; NaN where the view is empty.
        view_from_world: (F, V, 3, 4).
        focal_px: (F, V).
        valid: (F, V) bool, the views that may be lifted.
        label: (F, J, 3) m in the world, 0 where unknown.
        label_weight: (F, J), 0 where unknown.
        first, last: (F,) the bounds of the frame's recording, for windows.
    """

    pose2d: Tensor
    view: Tensor
    size: Tensor
    view_from_world: Tensor
    focal_px: Tensor
    valid: Tensor
    label: Tensor
    label_weight: Tensor
    first: Tensor
    last: Tensor

    def __len__(self) -> int:
        return len(self.pose2d)

    @classmethod
    def of_views(cls, views: CanonicalViews, labels: FloatArray, label_weight: FloatArray, min_joints: int) -> Bank:
        """Make the bank of one recording with labels (F, J, 3) m and their weights (F, J)."""
        poses = views.poses
        frames = len(poses.pose2d)
        seen = (poses.pose2d[..., 2] > 0.0).sum(-1)
        usable = np.isfinite(labels).all(-1) & np.isfinite(label_weight) & (label_weight > 0.0)

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32))

        return cls(
            tensor(poses.pose2d), tensor(poses.view), tensor(poses.size),
            tensor(poses.view_from_cam @ views.cam_from_world[None]),
            tensor(np.broadcast_to(views.focal_px, poses.size.shape)),
            torch.from_numpy((seen >= min_joints) & np.isfinite(poses.size)),
            tensor(np.where(usable[..., None], labels, 0.0)), tensor(np.where(usable, label_weight, 0.0)),
            torch.zeros(frames, dtype=torch.long), torch.full((frames,), frames - 1),
        )

    @classmethod
    def join(cls, banks: list[Bank]) -> Bank:
        """Concatenate banks over the frames; windows do not cross the seams."""
        start = 0
        for bank in banks:
            bank.first = bank.first + start
            bank.last = bank.last + start
            start += len(bank)
        return cls(*(torch.cat([getattr(bank, f.name) for bank in banks]) for f in fields(cls)))


# So much of the views, at either end, is not range: training shows too little of it.
_RARE = 0.01


def input_range(banks: Sequence[Bank]) -> InputRange:
    """Return the range of each of VIEW_PARTS over the views that may be lifted, without the rarest.

    Empty where ``banks`` have no view.
    """
    view = torch.cat([bank.view[bank.valid] for bank in banks]).numpy()
    if not len(view) or not view.any():
        return {}
    low, high = np.quantile(view, (_RARE, 1.0 - _RARE), axis=0).round(3).tolist()
    return dict(zip(VIEW_PARTS, zip(low, high, strict=True), strict=True))


@dataclass(frozen=True, slots=True)
class Batch:
    """N frames, of each K views to lift and M >= K views to measure in; the first K of the M are the lifted ones.

    Input and label are mirrored where ``flip`` is true; the measurements are not.

    Attributes:
        window: (N, K, T, J, 3) lifter input, mirrored.
        window_size: (N, K, T).
        view: (N, K, 2); mirroring does not change it.
        rays: (N, M, J, 2) x/z, y/z.
        confidence: (N, M, J), 0 where not seen.
        view_from_world: (N, M, 3, 4).
        focal_px: (N, M).
        label: (N, K, J, 3) m, turned into the lifted views but not moved there, mirrored.
        label_weight: (N, K, J), mirrored.
        flip: (N, K) bool.
    """

    window: Tensor
    window_size: Tensor
    view: Tensor
    rays: Tensor
    confidence: Tensor
    view_from_world: Tensor
    focal_px: Tensor
    label: Tensor
    label_weight: Tensor
    flip: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))

    def split(self, frames: int) -> list[Batch]:
        """Return batches of ``frames`` frames each, in order."""
        parts = (getattr(self, f.name).split(frames) for f in fields(self))
        return [Batch(*values) for values in zip(*parts, strict=True)]

    @classmethod
    def join(cls, batches: Sequence[Batch]) -> Batch:
        """Concatenate batches over the frames."""
        return cls(*(torch.cat([getattr(batch, f.name) for batch in batches]) for f in fields(cls)))


# (3J, 3J): the flattened joints of body17, x to -x and left to right.
_MIRROR = torch.kron(
    torch.eye(len(BODY17))[:, torch.from_numpy(mirror_of(BODY17))], torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
)


def mirror(poses: Tensor, flip: Tensor) -> Tensor:
    """Return body17 ``poses`` (N, K, ..., J, 3) mirrored (x to -x, left to right) where ``flip`` (N, K) is true."""
    flat = poses.flatten(-2)
    # A product with a signed permutation is exact, and cheaper than indexing.
    turned = flat @ _MIRROR.to(poses)
    return torch.where(flip.view(*flip.shape, *[1] * (flat.ndim - 2)), turned, flat).view_as(poses)


def gather(bank: Bank, frames: Tensor, views: Tensor, lifted: int, offsets: Tensor, flip: Tensor) -> Batch:
    """Return the batch of ``frames`` (N,) and ``views`` (N, M), the first ``lifted`` of them with their windows.

    ``offsets`` (T,) are the window's frames relative to the lifted one; beyond the ends the last frame repeats.
    Views with ``flip`` (N, K) are mirrored.
    """
    width = bank.valid.shape[1]

    def take(values: Tensor, rows: Tensor) -> Tensor:
        """Return values (F, V, ...) at rows (...) of the flattened (F * V); faster than two-dimensional indexing."""
        flat = values.flatten(0, 1).index_select(0, rows.flatten())
        return flat.view(*rows.shape, *flat.shape[1:])

    rows = frames[:, None] * width + views
    pose2d = take(bank.pose2d, rows)
    size = take(bank.size, rows).nan_to_num(0.0)
    if len(offsets) == 1:
        window, window_size = pose2d[:, :lifted, None], size[:, :lifted, None]
    else:
        times = (frames[:, None] + offsets).clamp(min=bank.first[frames][:, None], max=bank.last[frames][:, None])
        windows = times[:, None, :] * width + views[:, :lifted, None]
        window, window_size = take(bank.pose2d, windows), take(bank.size, windows).nan_to_num(1.0)
    view_from_world = take(bank.view_from_world, rows)
    label = bank.label.index_select(0, frames)[:, None] @ view_from_world[:, :lifted, :, :3].transpose(-1, -2)
    weight = bank.label_weight.index_select(0, frames)[:, None, :, None].expand_as(label)
    return Batch(
        mirror(window, flip), window_size, take(bank.view, rows[:, :lifted]),
        pose2d[..., :2] * size[..., None, None], pose2d[..., 2], view_from_world,
        take(bank.focal_px, rows), mirror(label, flip), mirror(weight, flip)[..., 2], flip,
    )
