"""Settings of cameras that move."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import setting


@dataclass(frozen=True, slots=True)
class TransformConfig:
    """What transforms of cameras that move can be."""

    most_speed_m_s: float = setting(
        10.0, 'What carries cameras is not faster: more is a jump of its transforms', unit='m/s', low=0.1, high=1000.0
    )
    most_turn_rad_s: float = setting(10.0, 'The same of its turning', unit='rad/s', low=0.1, high=1000.0)


# What a camera that moves is looked up in, for the node and for bags alike.
TRACKING_FRAME = (
    'Frame that people are tracked in where cameras move: one that stands and does not jump, as odom. Cameras are '
    'looked up in it on /tf, each at its picture\'s instant; a rig file\'s world is then what carries the rig. Empty: '
    'cameras stand'
)
