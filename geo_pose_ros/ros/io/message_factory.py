"""rclpy's message classes for the builders of ``messages``."""

from __future__ import annotations

import array
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from ...errors import ConfigError

# numpy -> array.array, the type rclpy's setters take without looking at every element.
_TYPECODES = {
    np.dtype(code).str: code for code in ('b', 'B', 'h', 'H', 'i', 'I', 'q', 'Q', 'f', 'd')
}


@cache
def message_class(message_type: str) -> Any:
    """Return the class of ``message_type`` ('package/msg/Name'); raise ConfigError if it is not installed."""
    package, _, name = message_type.split('/')
    try:
        return getattr(import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"ROS message '{message_type}' is not installed ({error}). "
            f'Install ros-$ROS_DISTRO-{package.replace("_", "-")}.'
        ) from error


def installed_class(message_type: str) -> Any:
    """Return the class of ``message_type``; None if it is not installed."""
    try:
        return message_class(message_type)
    except ConfigError:
        return None


@cache
def _sequences(cls: Any) -> frozenset[str]:
    kinds = cls.get_fields_and_field_types()
    return frozenset(name for name, kind in kinds.items() if kind.startswith('sequence<'))


class RclpyFactory:
    """A ``MessageFactory`` of rclpy's classes; unnamed fields are zero or empty."""

    def __call__(self, message_type: str, /, **fields: Any) -> Any:
        """Return a message of ``message_type``; raise ConfigError if its package is not installed."""
        cls = message_class(message_type)
        for name in _sequences(cls).intersection(fields):
            if isinstance(fields[name], np.ndarray):
                fields[name] = array.array(_TYPECODES[fields[name].dtype.str], fields[name].tobytes())
        return cls(**fields)
