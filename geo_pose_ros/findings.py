"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad it is; the worst is the exit status of `geo_pose doctor`."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: what was found, and what to do ('' if nothing)."""

    health: Severity
    what: str
    remedy: str = ''
