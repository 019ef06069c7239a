"""Rehearsal: what a lifter is trained on beside new data, so that it does not forget what it knew.

A robot's recordings show few people before one rig. Fine-tuned on these alone a lifter gets worse for all others. So
every other step it sees people of any shape, in any pose, before cameras anywhere: made from the recording's own
motion, bent far beyond it, and labelled with what the lifter said before (Robins, Catastrophic forgetting, rehearsal
and pseudorehearsal, Connection Science 1995). No data but the recording is needed.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import replace

import torch

from .data.bank import Bank
from .data.prepare import prepare
from .data.sequence import Sequence
from .evaluate import Predictor
from .settings import DataSettings, Recipe

# People, poses and views as widely as a rig may meet them.
_ANYBODY = DataSettings(
    min_joints=5, labels='refined', reshaped_copies=6, statures=0.06, ansur=1.5, virtual_lowest_deg=-15.0,
    virtual_highest_deg=70.0, virtual_nearest_m=2.0, virtual_farthest_m=8.0, virtual_frames=10, residual_spread=0.3,
    up_error_deg=2.0, exchanged_parts=0.5, bent_joints_deg=35.0, joint_limits='none', hidden_limbs=0.3, cut_off=0.1,
)


def rehearsal_bank(teacher: Predictor, sequences: Items[Sequence], recipe: Recipe, seed: int) -> Bank:
    """Return single views of made-up people, labelled with what ``teacher`` says of them.

    Args:
        teacher: the lifter as it was.
        sequences: where the motion comes from.
        recipe: of the fine-tuning.
        seed: of the people, poses and cameras.
    """
    settings = replace(_ANYBODY, up=recipe.data.up)
    bank = prepare(sequences, settings, seed, gravity=recipe.model.gravity)
    rows = bank.valid.flatten().nonzero()[:, 0]
    per_view = bank.pose2d, bank.view, bank.size, bank.view_from_world, bank.focal_px
    pose2d, view, size, view_from_world, focal_px = (values.flatten(0, 1)[rows] for values in per_view)
    # A window repeats its pose, in training as well: successive rows are no successive frames.
    windows = pose2d[:, None].expand(-1, recipe.model.receptive_field, -1, -1)
    given = (view.numpy(),) if recipe.model.gravity else ()
    said, _ = teacher(windows.numpy(), *given)
    label = torch.from_numpy(said) @ view_from_world[..., :3]
    alone = torch.arange(len(rows))
    return Bank(
        pose2d[:, None], view[:, None], size[:, None], view_from_world[:, None], focal_px[:, None],
        torch.ones(len(rows), 1, dtype=torch.bool), label, torch.ones(label.shape[:2]), alone, alone,
    )
