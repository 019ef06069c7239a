# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of the fine-tuning of a detector."""

from __future__ import annotations

from dataclasses import dataclass

from geo_pose_ros.settings import setting


@dataclass(frozen=True, slots=True)
class TeachSettings:
    """How a detector is taught."""

    crops: int = setting(2000, 'Crops of people that are trained on, about; 0.5 MB of memory each', low=1)
    copies: int = setting(8, 'Crops of a person in an image, each moved, turned and changed in another way', low=1)
    rehearsed: int = setting(
        1, 'Crops beside these that look like other people elsewhere and learn what the untaught network says of them',
        low=0,
    )
    steps: int = setting(400, 'Optimiser steps', low=1)
    batch: int = setting(24, 'Crops per step', low=1)
    learning_rate: float = setting(
        5e-4, 'Peak learning rate, relative to the size of each layer\'s weights', low=0.0, high=1.0
    )
    hidden: float = setting(
        0.3, 'Share of the features that a step hides, so that no few of them are learned by heart', low=0.0, high=0.9
    )
    kept: float = setting(1.0, 'Weight of what the untaught network said, where there is no label', low=0.0)
