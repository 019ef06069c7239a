"""Where a result comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path


def source_commit() -> str:
    """Return the commit of the source tree this package runs from, or '' outside one (or without git)."""
    try:
        found = subprocess.run(
            ['git', 'rev-parse', 'HEAD'], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return ''
    return found.stdout.strip()
