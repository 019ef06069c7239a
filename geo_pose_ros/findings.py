# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a check found: how bad it is, what is the case, where, and what to do.

The one type for it: the doctor, faults on the console, the report of a recording and refusals of a calibration say
what they have to say in findings. It needs the standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

# Kind of a finding: several cameras see people, and their rays pass each other by.
RAYS = 'rays'


class Severity(IntEnum):
    """How bad a finding is, as the exit status of `geo_pose doctor` and the level of a diagnostic say it."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        severity: how bad it is.
        what: what is the case, with what was received and what is possible.
        remedy: what to do; '' if nothing.
        where: what has it ('camera left', 'rig'); '' if ``what`` says so.
        kind: tells two findings at one place apart while their words change with time; '' if they do not last.
    """

    severity: Severity
    what: str
    remedy: str = ''
    where: str = ''
    kind: str = ''

    @property
    def text(self) -> str:
        """Finding and remedy as one sentence after the other, without the place."""
        end = '.' if self.remedy and not self.what.endswith('.') else ''
        return f'{self.what}{end} {self.remedy}'.rstrip()

    @property
    def in_words(self) -> str:
        """Place, finding and remedy as one sentence after the other."""
        return f'{self._prefix}{self.text}'

    @property
    def _prefix(self) -> str:
        """The place, unless the words begin with it, as errors of this package do that name their camera."""
        return f'{self.where}: ' if self.where and not self.what.startswith('Camera ') else ''


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a recording or of a running node, the same wherever it is said.

    Attributes:
        headline: people first, in one line.
        findings: what was found, the worst first, one for each place and kind.
    """

    headline: str
    findings: tuple[Finding, ...] = ()

    @property
    def severity(self) -> Severity:
        """The greatest severity of a finding; OK without one."""
        return worst(self.findings)

    @property
    def exit_status(self) -> int:
        """What a command ends with: 0 good, also with warnings; 1 bad; 3 the rays of the cameras do not meet."""
        if any(finding.kind == RAYS and finding.severity == Severity.ERROR for finding in self.findings):
            return 3
        return int(self.severity == Severity.ERROR)

    @property
    def in_words(self) -> str:
        """Its severity in a word, and the headline."""
        return f'{("good", "fair", "bad")[self.severity]}: {self.headline}'

    def about(self, where: str) -> tuple[Finding, ...]:
        """Return the findings of one place."""
        return tuple(finding for finding in self.findings if finding.where == where)


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the greatest severity; OK if nothing was found."""
    return max((finding.severity for finding in findings), default=Severity.OK)


def as_lines(findings: Iterable[Finding], *, least: Severity = Severity.OK) -> Iterator[str]:
    """Yield the findings that are at least as bad as ``least`` as lines for a terminal, each remedy on its own line."""
    for finding in findings:
        if finding.severity >= least:
            yield f'  {_MARKS[finding.severity]} {finding._prefix}{finding.what}'
            if finding.remedy:
                yield f'        {finding.remedy}'


_MARKS = {Severity.OK: 'ok   ', Severity.WARNING: 'warn ', Severity.ERROR: 'ERROR'}
