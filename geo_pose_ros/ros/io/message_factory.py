# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""rclpy's classes of messages and services; a robot may lack some of their packages."""

from __future__ import annotations

import array
import re
from copy import copy
from functools import cache
from importlib import import_module

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
from rosbags.typesys import get_types_from_msg
from rosbags.typesys.store import Typestore

from ...bags.message_factory import TYPESTORE
from ...errors import ConfigError
from ...messages.factory import Message

# Types of fields whose names in .msg files differ from those of rosidl's Python classes.
_DECLARED = {'boolean': 'bool', 'float': 'float32', 'double': 'float64', 'octet': 'byte'}
# numpy -> array.array, the type rclpy's setters take without looking at every element.
_TYPECODES = {
    np.dtype(code).str: code for code in ('b', 'B', 'h', 'H', 'i', 'I', 'q', 'Q', 'f', 'd')
}


def message_class(message_type: str, needed_for: str = '', otherwise: str = '') -> Message:
    """Return the class of ``message_type`` ('package/msg/Name', or 'package/srv/Name' of a service).

    Args:
        message_type: see above.
        needed_for, otherwise: what needs it, and what to do without it, for the error.

    Raises:
        ConfigError: if it is not installed.
    """
    package, folder, name = message_type.split('/')
    try:
        return getattr(import_module(f'{package}.{folder}'), name)
    except (ImportError, AttributeError) as error:
        remedy = f'Install ros-$ROS_DISTRO-{package.replace("_", "-")}'
        if needed_for:
            raise ConfigError(
                f'{needed_for} needs the ROS package {package} ({error}). {remedy}, or {otherwise}.'
            ) from error
        raise ConfigError(f"ROS message '{message_type}' is not installed ({error}). {remedy}.") from error


def installed_class(message_type: str) -> Message | None:
    """Return the class of ``message_type``; None if it is not installed."""
    try:
        return message_class(message_type)
    except ConfigError:
        return None


def definitions_of(message_type: str) -> Typestore:
    """Return definitions with ``message_type`` among them: the package's, or with those of the installed classes.

    Raises:
        ConfigError: if it, or what it consists of, is not installed.
    """
    if message_type in TYPESTORE.fielddefs:
        return TYPESTORE
    store = copy(TYPESTORE)
    store.fielddefs, store.types, store.cache = dict(TYPESTORE.fielddefs), dict(TYPESTORE.types), {}
    waiting = [message_type]
    while waiting:
        name = waiting.pop()
        if name in store.fielddefs:
            continue
        fields = message_class(name).get_fields_and_field_types()
        lines = [f'{_as_declared(kind)} {field}' for field, kind in fields.items()]
        store.register(get_types_from_msg('\n'.join(lines), name))
        waiting += [f'{package}/msg/{kind}' for package, kind in re.findall(r'(\w+)/(\w+)', ' '.join(fields.values()))]
    return store


def _as_declared(kind: str) -> str:
    """Return the type of a field as a .msg file declares it; ``kind``: as rosidl's Python classes name it."""
    if sequence := re.fullmatch(r'sequence<(.+?)(?:, (\d+))?>', kind):
        inner, bound = sequence.groups()
        return f'{_as_declared(inner)}[{f"<={bound}" if bound else ""}]'
    kind = re.sub(r'(string)<(\d+)>', r'\1<=\2', kind)
    return re.sub(r'^\w+(?=$|\[)', lambda word: _DECLARED.get(word[0], word[0]), kind)


def trigger_class(logger: RcutilsLogger, service: str, otherwise: str) -> Message | None:
    """Return std_srvs/Trigger; None, with a warning that there is no ``service`` and what to do ``otherwise``."""
    try:
        return message_class('std_srvs/srv/Trigger', f'The service {service}', otherwise)
    except ConfigError as error:
        logger.warning(str(error))
        return None


@cache
def _with_sequences(message_type: str) -> tuple[Message, frozenset[str]]:
    """Return the class of ``message_type``, and the names of its fields that are sequences."""
    cls = message_class(message_type)
    kinds = cls.get_fields_and_field_types()
    return cls, frozenset(name for name, kind in kinds.items() if kind.startswith('sequence<'))


class RclpyFactory:
    """A ``MessageFactory`` of rclpy's classes; unnamed fields are zero or empty."""

    def __call__(self, message_type: str, /, **fields: object) -> Message:
        """Return a message of ``message_type``; raise ConfigError if its package is not installed."""
        cls, sequences = _with_sequences(message_type)
        for name in sequences.intersection(fields):
            value = fields[name]
            if isinstance(value, np.ndarray):
                fields[name] = array.array(_TYPECODES[value.dtype.str], value.tobytes())
        return cls(**fields)
