# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose completion`: print a script that lets the shell complete commands, flags and names of settings."""

from __future__ import annotations

import argparse
from importlib import import_module

from ..parser import Parser

EXAMPLES = ('eval "$(geo_pose completion bash)"', 'eval "$(geo_pose completion zsh)"')
_SCRIPT = """_geo_pose() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} flags= settings=
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  if (( COMP_CWORD == 1 )); then COMPREPLY=($(compgen -W '{commands}' -- "$word"))
  elif [[ $before == --set || $before == --help-settings ]]; then COMPREPLY=($(compgen -W "$settings" -- "$word"))
  elif [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word"))
  fi
}}
complete -o default -F _geo_pose geo_pose"""


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('shell', choices=('bash', 'zsh'), help='the shell to complete in')


def run(arguments: argparse.Namespace) -> None:
    """Print the script; a command whose packages are missing here is completed without its flags."""
    cases = []
    for name, module_name in arguments.commands:
        parser = Parser()
        try:
            import_module(module_name).add_arguments(parser)
        except (ImportError, AttributeError):
            # Without its packages, or the node, which has its own parser.
            continue
        flags, settings = ' '.join(parser.flags), ' '.join(parser.settings)
        cases.append(f"    {name}) flags='{flags}' settings='{settings}' ;;")
    if arguments.shell == 'zsh':
        print('autoload -U +X bashcompinit && bashcompinit')
    print(_SCRIPT.format(cases='\n'.join(cases), commands=' '.join(name for name, _ in arguments.commands)))
