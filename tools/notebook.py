# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Execute the notebook of the documentation, keep in it what its cells give, and write its page of the site.

    .venv/bin/python tools/notebook.py      docs/how-to/notebook.ipynb -> itself, notebook.md, ../media/notebook_*.png

It needs no Jupyter: a notebook is JSON, and a cell is Python whose last expression is shown.
"""

from __future__ import annotations

import ast
import base64
import io
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / 'docs/how-to/notebook.ipynb'
MEDIA = NOTEBOOK.parents[1] / 'media'
_PNG, _TEXT = 'image/png', 'text/plain'
_NOTE = '<!-- Written by tools/notebook.py from notebook.ipynb. -->\n'


def run_cells(notebook: dict[str, Any]) -> list[dict[str, str]]:
    """Return what each code cell shows, by kind: a figure as base64 of a PNG, anything else as text, or nothing."""
    known: dict[str, Any] = {}
    shown = []
    for cell in code_cells(notebook):
        tree = ast.parse(''.join(cell['source']))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(NOTEBOOK), 'exec'), known)
        value = None if last is None else eval(compile(ast.Expression(last.value), str(NOTEBOOK), 'eval'), known)
        shown.append(_shown(value))
    return shown


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cells with code."""
    return [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']


def _shown(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if hasattr(value, 'savefig'):
        file = io.BytesIO()
        value.savefig(file, format='png', metadata={'Software': None})
        return {_PNG: base64.b64encode(file.getvalue()).decode()}
    return {_TEXT: str(value)}


def page_of(notebook: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    """Return the page in Markdown, and its images by name."""
    parts, images = [_NOTE], {}
    for cell in notebook['cells']:
        text = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown':
            parts.append(f'{text}\n')
            continue
        parts.append(f'```python\n{text}\n```\n')
        for output in cell['outputs']:
            data = output['data']
            if _PNG in data:
                name = f'notebook_{len(images) + 1}.png'
                images[name] = base64.b64decode(data[_PNG])
                parts.append(f'![What the cell shows](../media/{name})\n')
            else:
                parts.append(f'```text\n{"".join(data[_TEXT])}\n```\n')
    return '\n'.join(parts), images


def main() -> None:
    """Execute, and write."""
    notebook = json.loads(NOTEBOOK.read_text(encoding='utf-8'))
    for number, (cell, data) in enumerate(zip(code_cells(notebook), run_cells(notebook), strict=True), 1):
        result = {'output_type': 'execute_result', 'execution_count': number, 'metadata': {}, 'data': data}
        cell['execution_count'], cell['outputs'] = number, [result] if data else []
    NOTEBOOK.write_text(json.dumps(notebook, indent=1) + '\n', encoding='utf-8')
    page, images = page_of(notebook)
    NOTEBOOK.with_suffix('.md').write_text(page, encoding='utf-8')
    for name, data in images.items():
        (MEDIA / name).write_bytes(data)


if __name__ == '__main__':
    main()
