"""Which cameras a node has, as its settings say: their names, topics, and their rig where a file gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from ...errors import ConfigError
from ...rigs.rig_file import load_rig
from ...types import CameraRig
from ..io.topics import InputTopics, fill, input_topics
from .settings import NodeConfig


@dataclass(frozen=True, slots=True)
class CameraSet:
    """The cameras of a node.

    Attributes:
        topics: of each camera, by name, in the order of their names.
        rig_file: the rig of the file, which may have more cameras; None where camera_info and TF tell.
    """

    topics: Mapping[str, InputTopics]
    rig_file: CameraRig | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the cameras."""
        return tuple(self.topics)

    @property
    def rectified(self) -> tuple[str, ...]:
        """The cameras whose images are rectified."""
        return tuple(name for name, of_camera in self.topics.items() if of_camera.rectified)

    @classmethod
    def of(cls, node: Node, config: NodeConfig) -> CameraSet:
        """Read the rig file, if there is one, and find out the topics as ``node`` expands and remaps them.

        Raises:
            ConfigError: if there is no camera, a name is given twice or no topic can have it, or topics are wrong.
            CalibrationError: if the rig file cannot be read.
        """
        rig_file = load_rig(Path(config.rig).expanduser()) if config.rig else None
        names = config.cameras or (rig_file.names if rig_file is not None else ())
        if not names:
            raise ConfigError(
                "No cameras. Name them (cameras:=\"['left', 'right']\") or give a rig file (rig:=/path/to/rig.yaml)."
            )
        if len(set(names)) != len(names):
            raise ConfigError(f"Parameter 'cameras': received {list(names)}, expected every name once.")
        topics = input_topics(node, config, names)
        for name in names:
            fill('/pose_node/keypoints/{camera}', name)
        return cls(topics, rig_file)


# The settings that say which cameras there are and what they send, as far as a running node takes them.
_FIELDS = ('cameras', 'image_topics', 'camera_info_topics', 'keypoints_topics', 'keypoints_cameras')


def same_cameras(a: NodeConfig, b: NodeConfig) -> bool:
    """Return whether two settings name the same cameras with the same topics."""
    return all(getattr(a, field) == getattr(b, field) for field in _FIELDS)
