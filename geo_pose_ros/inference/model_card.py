# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The model card: inputs, outputs, origin and metrics of a lifter's ONNX file.

It lies beside the model as JSON with the same stem (body17.onnx, body17.json) and is read before the model is used:
input and outputs are checked against it, and the sha256 ties the two files together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import BackendError, ConfigError
from ..skeleton import Skeleton, get_skeleton

FORMAT = 1
INPUT_CONVENTION = 'canonical-1'
# As canonical-1, but turned upright by the world's vertical, and with the input `view`.
GRAVITY_CONVENTION = 'gravity-1'
INPUT_NAME = 'pose2d'
VIEW_NAME = 'view'
# Numbers per pose of `view`: how steeply it looks down (sine), and how large the person appears (logarithm).
VIEW_PARTS = ('steepness', 'log_size')
VIEW_SIZE = len(VIEW_PARTS)
InputRange = Mapping[str, tuple[float, float]]
OUTPUT_NAMES = ('xyz', 'sigma')


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A lifter's card.

    Attributes:
        name: of the model.
        skeleton: name of its skeleton of J joints.
        receptive_field: T frames of input per output; `pose2d` is float32 (batch, T, J, 3).
        causal: whether the output belongs to the window's last frame instead of its middle one.
        root_joint: the joint at the origin of `xyz`.
        sha256: of the ONNX file.
        licence: of the weights.
        acknowledgement: what users of the weights have to say.
        training: recipe, data, its hash, the command, seed, and whether 3D labels were used.
        metrics: measured values, by data set and name, units in the names.
        rate_hz: frames per second of a window; 0 for a receptive field of one frame.
        input_convention: how the input is made, see geo_pose_ros/lifting/canonical.py. canonical-1: `pose2d` alone;
            gravity-1: upright, and `view` float32 (batch, 2) beside it.
        input_range: least and largest of each of VIEW_PARTS in training; beyond it the model was never asked. Empty:
            not known, as in older cards.
        outputs: meaning and unit of each output.
        format: version of this file's schema.
    """

    name: str
    skeleton: str
    receptive_field: int
    causal: bool
    root_joint: str
    sha256: str
    licence: str
    acknowledgement: str
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    rate_hz: float = 0.0
    input_convention: str = INPUT_CONVENTION
    input_range: InputRange = dataclasses.field(default_factory=dict)
    outputs: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {
            'xyz': '(batch, J, 3) float32 m, root-relative, frame of the virtual camera (x right, y down, z forward)',
            'sigma': '(batch, J) float32 m, standard deviation of xyz per axis',
        }
    )
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ConfigError(f"Model card '{self.name}': format {self.format}, expected {FORMAT}; export it again.")
        if self.input_convention not in (INPUT_CONVENTION, GRAVITY_CONVENTION):
            raise ConfigError(
                f"Model card '{self.name}': input convention '{self.input_convention}', this version makes "
                f"'{INPUT_CONVENTION}' and '{GRAVITY_CONVENTION}'; export the model with this version."
            )
        if self.receptive_field < 1 or self.receptive_field % 2 == 0:
            raise ConfigError(
                f"Model card '{self.name}': receptive_field {self.receptive_field}, expected an odd number of frames."
            )
        if (self.rate_hz > 0.0) != (self.receptive_field > 1):
            raise ConfigError(
                f"Model card '{self.name}': rate_hz {self.rate_hz:g} for {self.receptive_field} frames; expected more "
                'than 0 for several, 0 for one. Export the model again.'
            )
        if self.input_range and (
            set(self.input_range) != set(VIEW_PARTS) or not all(low < high for low, high in self.input_range.values())
        ):
            raise ConfigError(
                f"Model card '{self.name}': input_range {dict(self.input_range)}, expected least and largest of each "
                f'of {", ".join(VIEW_PARTS)}; export the model again.'
            )
        get_skeleton(self.skeleton).index(self.root_joint)

    @property
    def joints(self) -> Skeleton:
        """The skeleton itself."""
        return get_skeleton(self.skeleton)

    @property
    def gravity(self) -> bool:
        """Whether the model needs the direction of gravity."""
        return self.input_convention == GRAVITY_CONVENTION

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one row of each input, by name."""
        shapes: dict[str, tuple[int, ...]] = {INPUT_NAME: self.input_shape}
        return {**shapes, VIEW_NAME: (VIEW_SIZE,)} if self.gravity else shapes

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (T, J, 3) of one input."""
        return self.receptive_field, len(self.joints), 3


def default_model() -> Path:
    """Return the path of the lifter that ships with the package (body17, single frame)."""
    return Path(str(resources.files('geo_pose_ros') / 'models' / 'body17.onnx'))


def card_path(model: Path) -> Path:
    """Return where the card of ``model`` lies."""
    return model.with_suffix('.json')


def sha256(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_card(card: ModelCard, model: Path) -> Path:
    """Write ``card`` beside ``model`` and return its path."""
    path = card_path(model)
    path.write_text(json.dumps(dataclasses.asdict(card), indent=1) + '\n', encoding='utf-8')
    return path


def is_of_lifter(model: Path) -> bool:
    """Return whether ``model`` is a lifter, as far as its card says."""
    try:
        tree = json.loads(card_path(model).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return True
    return not isinstance(tree, dict) or 'receptive_field' in tree


def load_card(model: Path) -> ModelCard:
    """Read the card of ``model`` and check that it is this model's.

    Raises:
        BackendError: if the model or its card is missing, or the model is not the one the card describes.
        ConfigError: if the card lacks a field or has a wrong value.
    """
    path = card_path(model)
    if not model.is_file():
        raise BackendError(f"Model '{model}' does not exist; give an .onnx file that `geo_pose models export` wrote.")
    if not path.is_file():
        raise BackendError(f"Model '{model}' has no card '{path.name}' beside it; export it: geo_pose models export.")
    try:
        tree = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ConfigError(f"Model card '{path}' is not JSON: {error}; export the model again.") from error
    names = {f.name for f in dataclasses.fields(ModelCard)}
    if isinstance(tree, dict):
        # Older cards have no rate, or do not say what was trained on.
        tree = {'rate_hz': 0.0, 'input_range': {}, **tree}
    if not isinstance(tree, dict) or set(tree) != names:
        received = sorted(tree) if isinstance(tree, dict) else type(tree).__name__
        raise ConfigError(f"Model card '{path}': received {received}, expected the fields {sorted(names)}.")
    card = ModelCard(**tree)
    found = sha256(model)
    if found != card.sha256:
        raise BackendError(
            f"Model '{model}' has sha256 {found[:12]}, its card says {card.sha256[:12]}; they belong to different "
            'models: copy both from the same export.'
        )
    return card
