# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Recipes: everything that defines a training run, typed; a recipe file is YAML with these names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import yaml

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.alignment import UP_AXES
from geo_pose_ros.settings import build, flatten, setting


def _check_order(settings: object, group: str, low: str, high: str) -> None:
    """Raise ConfigError if the setting ``low`` is above ``high``."""
    least, most = getattr(settings, low), getattr(settings, high)
    if least > most:
        raise ConfigError(f'{group}.{low} is {least:g}, above {group}.{high}, {most:g}; exchange them.')


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The lifting network."""

    backbone: str = setting('residual', 'Trunk of the network', choices=('residual', 'temporal_dilated'))
    width: int = setting(1024, 'Features per layer', low=1, high=8192)
    blocks: int = setting(4, 'Residual blocks (2: ResLinear, 4: Li et al. 2020); residual only', low=0, high=64)
    layers_per_block: int = setting(2, 'Linear layers per residual block', low=1, high=8)
    dropout: float = setting(0.0, 'Dropout probability', low=0.0, high=0.9)
    receptive_field: int = setting(1, 'Frames of input per output, odd; 1 for residual', low=1, high=2187)
    causal: bool = setting(False, 'The output belongs to the last frame of the window instead of the middle one')
    gravity: bool = setting(False, 'The input is upright, with steepness of the view and size of the person')
    sigma_width: int = setting(0, 'Features of a hidden layer before the standard deviation; 0: none', low=0, high=8192)

    def __post_init__(self) -> None:
        if self.receptive_field % 2 == 0:
            raise ConfigError(f'model.receptive_field is {self.receptive_field}; expected an odd number.')


@dataclass(frozen=True, slots=True)
class VirtualCameraSettings:
    """Virtual cameras around a person; they see labels with the residuals of real views."""

    count: int = setting(0, 'Virtual cameras added to each rig', low=0, high=64)
    frames: int = setting(0, 'Frames of a copy before they move elsewhere; 0: never', unit='frames', low=0)
    elevation_margin_deg: float = setting(
        0.0, 'Largest elevation above and below the real cameras', unit='deg', low=0.0, high=60.0,
    )
    lowest_deg: float = setting(0.0, 'They look down by this at least', unit='deg', low=-80.0, high=80.0)
    highest_deg: float = setting(
        0.0, 'and by this at most; both 0: as the real cameras do', unit='deg', low=-80.0, high=80.0,
    )
    nearest_m: float = setting(0.0, 'Least distance from the person', unit='m', low=0.0, high=100.0)
    farthest_m: float = setting(0.0, 'Largest; both 0: as the real cameras', unit='m', low=0.0, high=100.0)
    roll_deg: float = setting(0.0, 'Standard deviation of the roll', unit='deg', low=0.0, high=90.0)
    up_error_deg: float = setting(0.0, 'Standard deviation of their upright, per axis', unit='deg', low=0.0, high=45.0)
    residual_spread: float = setting(
        0.0, 'Standard deviation of the logarithm of a factor on the residuals', low=0.0, high=2.0,
    )

    far_share: float = setting(0.0, 'Share of cameras farther away than that', low=0.0, high=1.0)
    far_m: float = setting(0.0, 'up to this, their logarithm uniform', unit='m', low=0.0, high=1000.0)
    pixel_noise: float = setting(
        0.0, 'Standard deviation of further noise in images 1280 px wide, through lenses of 30 to 100 degrees',
        unit='px', low=0.0, high=10.0,
    )

    def __post_init__(self) -> None:
        for low, high in (('lowest_deg', 'highest_deg'), ('nearest_m', 'farthest_m')):
            _check_order(self, 'data.virtual_cameras', low, high)
        if self.far_share:
            _check_order(self, 'data.virtual_cameras', 'farthest_m', 'far_m')


@dataclass(frozen=True, slots=True)
class BodySettings:
    """Random bodies of the copies."""

    proportions: float = setting(0.0, 'Standard deviation of the logarithm of limb lengths', low=0.0, high=0.5)
    statures: float = setting(0.0, 'Standard deviation of the logarithm of statures', low=0.0, high=0.5)
    ansur: float = setting(0.0, 'Segment lengths spread as among people (ANSUR II), times this', low=0.0, high=3.0)
    children: float = setting(0.0, 'Share of children, 1.0 to 1.45 m; needs ansur', low=0.0, high=1.0)
    narrowest_hips: float = setting(
        0.0, 'Least distance of the hips from the pelvis; needs ansur', unit='statures', low=0.0, high=0.2
    )
    widest_hips: float = setting(0.0, 'Largest; both 0: as ansur says', unit='statures', low=0.0, high=0.2)

    def __post_init__(self) -> None:
        if not self.ansur and (self.children or self.widest_hips):
            raise ConfigError(
                'data.copies.body.children and widest_hips are of people as ansur makes them, and ansur is 0; set it.'
            )
        _check_order(self, 'data.copies.body', 'narrowest_hips', 'widest_hips')


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """Random motion of the copies."""

    exchanged_parts: float = setting(
        0.0, 'Share of the time that limbs or the upper half come from another clip', low=0.0, high=1.0,
    )
    bent_joints_deg: float = setting(
        0.0, 'Standard deviation, per axis, by which arms and legs are bent', unit='deg', low=0.0, high=90.0,
    )
    joint_limits: str = setting(
        'measured', 'Joints are bent within what the recordings show, or without limits',
        choices=('measured', 'none'),
    )


@dataclass(frozen=True, slots=True)
class OcclusionSettings:
    """What virtual cameras do not see of the copies."""

    limbs: float = setting(0.0, 'Share of the time that a limb, or its end, is hidden', low=0.0, high=1.0)
    cut_off: float = setting(0.0, 'Share of the time that an edge of the image cuts a person off', low=0.0, high=1.0)


@dataclass(frozen=True, slots=True)
class CopySettings:
    """Copies of the data: the labels with other bodies and motion, before virtual cameras only."""

    count: int = setting(0, 'Copies of the data', low=0, high=64)
    body: BodySettings = field(default_factory=BodySettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    occlusion: OcclusionSettings = field(default_factory=OcclusionSettings)

    def __post_init__(self) -> None:
        if not self.count and (self.motion, self.occlusion) != (MotionSettings(), OcclusionSettings()):
            raise ConfigError(
                'data.copies.motion and data.copies.occlusion are set, but there are no copies; set data.copies.count '
                'to 1 or more.'
            )


@dataclass(frozen=True, slots=True)
class DataSettings:
    """What is made of the recordings before training."""

    cameras: int = setting(0, 'Use only the first cameras of each rig, this number; 0: all', low=0, high=64)
    min_joints: int = setting(14, 'A view with fewer seen joints is not lifted', low=4, high=1000)
    labels: str = setting(
        'none', '3D labels: the truth, weighted DLT triangulation, or triangulation made robust over views, time and '
        'bones', choices=('none', 'truth', 'triangulated', 'refined'),
    )
    sides: str = setting(
        'as_seen', 'Arms and legs whose sides a view exchanged: trained on as seen, or repaired by the labels',
        choices=('as_seen', 'repaired'),
    )
    extrinsics: str = setting(
        'given', 'Camera poses: as calibrated, or estimated from the joints and one known baseline',
        choices=('given', 'joints'),
    )
    up: str = setting('z', 'Axis of the world that points upwards, for model.gravity', choices=tuple(UP_AXES))
    flip: bool = setting(True, 'Mirror every other pose')
    virtual_cameras: VirtualCameraSettings = field(default_factory=VirtualCameraSettings)
    copies: CopySettings = field(default_factory=CopySettings)


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Weights of the losses, and how they are formed."""

    root: str = setting(
        'closed_form', 'Absolute root in training: from a second network (Li et al.), or solved from the pose',
        choices=('branch', 'closed_form'),
    )
    label: float = setting(0.0, 'Distance to the 3D label', unit='1/m', low=0.0)
    label_origin: str = setting(
        'root', 'Where label and pose are made to meet before they are compared', choices=('root', 'centroid')
    )
    reprojection: float = setting(0.0, 'L_r: re-projection into the own view', unit='1/px', low=0.0)
    transform: float = setting(0.0, 'L_t: re-projection into the other views', unit='1/px', low=0.0)
    pretrain_share: float = setting(0.0, 'Share of the steps spent on L_pre alone', low=0.0, high=1.0)
    confidence: str = setting(
        'target', 'Weight of a joint in L_r and L_t', choices=('none', 'source', 'target', 'product')
    )
    saturation_px: float = setting(
        0.0, 'Pixel distances d count as d h / (d + h), h this: outliers saturate; 0: as they are', unit='px', low=0.0
    )
    sigma: float = setting(0.0, 'Likelihood of the reported standard deviation', low=0.0)


@dataclass(frozen=True, slots=True)
class OptimSettings:
    """Optimisation."""

    steps: int = setting(4000, 'Optimiser steps', low=1)
    steps_per_epoch: int = setting(250, 'Steps between checkpoints', low=1)
    batch: int = setting(512, 'Poses lifted per step', low=2)
    lifted_views: int = setting(1, 'Views of the same frame that are lifted together', low=1, high=64)
    learning_rate: float = setting(1e-3, 'Peak learning rate', low=0.0)
    schedule: str = setting('one_cycle', 'Learning rate over the run; steps: x0.1 after each third (Li et al.)',
                            choices=('one_cycle', 'steps'))
    weight_decay: float = setting(0.0, 'AdamW weight decay', low=0.0)
    rehearsal_poses: int = setting(
        4000, 'Synthetic poses on which a fine-tuned lifter rehearses; 0: no rehearsal', low=0
    )
    clip_norm: float = setting(0.0, 'Largest norm of the gradient; 0: not clipped', low=0.0)


# Their seeds lie so far apart (batches.py).
MOST_LANES = 64


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What of a store is in memory at once."""

    pieces: int = setting(64, 'Pieces that an epoch is drawn from', unit='pieces', low=1)
    lanes: int = setting(
        4, 'Groups of pieces that each batch holds equal parts of; a multiple of the number of processes', low=1,
        high=MOST_LANES,
    )

    def __post_init__(self) -> None:
        if self.pieces < self.lanes:
            raise ConfigError(
                f'stream.pieces is {self.pieces}, fewer than stream.lanes, {self.lanes}; a lane needs a piece.'
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training run but for its data and its seed."""

    description: str = setting('', 'What the recipe is for')
    model: ModelSettings = field(default_factory=ModelSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)

    def __post_init__(self) -> None:
        for name, needs_labels in (
            ('loss.label', self.loss.label > 0.0), ('data.sides', self.data.sides == 'repaired'),
            ('data.copies.count', self.data.copies.count > 0),
        ):
            if needs_labels and self.data.labels == 'none':
                raise ConfigError(f"{name} needs labels, but data.labels is 'none'; choose labels, or unset {name}.")
        if self.loss.pretrain_share and self.optim.lifted_views < 2:
            raise ConfigError('Pre-training compares views; set optim.lifted_views to 2 or more.')


def load_recipe(name: str, overrides: Mapping[str, object] | None = None) -> Recipe:
    """Return the recipe of that name in this package, or of a YAML file; ``overrides`` are dotted names.

    Raises:
        ConfigError: if there is no such recipe, or it names unknown or impossible settings.
    """
    path = Path(name)
    text: str
    if path.suffix in ('.yaml', '.yml'):
        if not path.is_file():
            raise ConfigError(f"Recipe '{name}' does not exist; known recipes: {', '.join(recipe_names())}.")
        text = path.read_text(encoding='utf-8')
    elif name in recipe_names():
        text = (resources.files(__package__) / 'recipes' / f'{name}.yaml').read_text(encoding='utf-8')
    else:
        raise ConfigError(f"Unknown recipe '{name}'; known: {', '.join(recipe_names())}, or a .yaml file.")
    tree = yaml.safe_load(text) or {}
    return build(Recipe, {**flatten(tree), **(overrides or {})})


def stored_recipe(tree: Mapping[str, object], overrides: Mapping[str, object] | None = None) -> Recipe:
    """Return the recipe that a checkpoint or a model card holds."""
    return build(Recipe, {**flatten(tree), **(overrides or {})})


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    folder = resources.files(__package__) / 'recipes'
    return sorted(item.name.removesuffix('.yaml') for item in folder.iterdir() if item.name.endswith('.yaml'))
