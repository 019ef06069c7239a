"""Why a rig cannot be determined from people, or must not be used."""

from __future__ import annotations

from ..errors import CalibrationError
from ..findings import Finding, Severity


class RefusalError(CalibrationError):
    """A calibration that ends without a rig; ``finding`` says why, and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        # Both, so that it can be pickled.
        super().__init__(what, remedy)
        self.finding = Finding(Severity.ERROR, what, remedy)

    def __str__(self) -> str:
        return self.finding.in_words
