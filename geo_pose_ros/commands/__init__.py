"""The command line, one module per command; the only place that knows argparse.

Each module has ``register(subparsers)``, which adds the command's parser with ``set_defaults(run=run)``, and
``run(arguments)``, which returns the exit status (None: 0).
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

Subparsers: TypeAlias = 'argparse._SubParsersAction[argparse.ArgumentParser]'
