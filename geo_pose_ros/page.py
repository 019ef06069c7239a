# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One HTML page that needs nobody else: style, charts and images inside, no script, no request.

Every report (recording, calibration, retraining) is a Jinja2 template in ``templates``. It extends ``page.html.j2``,
takes its tables, findings and tiles from ``parts.html.j2``, and looks as ``style.css`` says, so that all look alike::

    {% extends 'page.html.j2' %}
    {% import 'parts.html.j2' as parts %}
    {% block content %}
    <section><h2>Cameras</h2>
    {{ parts.findings(found) }}
    {{ parts.table(['camera', 'px'], rows) }}
    <figure><img src="{{ above | png }}" alt="cameras from above"><figcaption>Seen from above.</figcaption></figure>
    </section>
    {% endblock %}

The program computes the values and the template words them; what is not marked safe is escaped::

    render('calibration.html.j2', title='Calibration of the hall', lead='4 cameras', made_by='geo_pose calibrate',
           found=[Finding(Severity.OK, 'All cameras agree.')], rows=[('cam01', '4.2')], above=png_bytes)

Filters: ``number`` (one decimal, or in the format given; '-' if it is not finite), ``clock`` (a time within a
recording), ``jpeg`` (an image (H, W, 3) BGR) and ``png`` (a PNG's bytes).
"""

from __future__ import annotations

import base64
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .arrays import UInt8Array
from .errors import ShapeError

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name('templates')
_JPEG_QUALITY = 78


def render(template: str, **values: object) -> str:
    """Return the page of a template, as HTML.

    Args:
        template: name of a file in ``templates``.
        values: what the template names; ``title``, ``lead`` (a line below it) and ``made_by`` are in every page.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    # The viewer needs ``clock`` alone, and starts faster without Jinja2.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )
    environment.filters.update(number=number, clock=clock, jpeg=jpeg, png=png)
    return environment


def number(value: float, form: str = '.1f') -> str:
    """Return a number in a format; '-' if it is not finite."""
    return f'{value:{form}}' if math.isfinite(value) else '-'


def clock(seconds: float) -> str:
    """Return a time within a recording as m:ss or h:mm:ss, below ten seconds in seconds."""
    if abs(seconds) < 10.0:
        return f'{seconds:.1f} s'
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{rest:02}' if hours else f'{minutes}:{rest:02}'


def jpeg(image: UInt8Array) -> str:
    """Return an image (H, W, 3) BGR as a data URI.

    Raises:
        ShapeError: if it cannot be coded.
    """
    import cv2

    try:
        _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    except cv2.error as error:
        raise ShapeError(f'jpeg: received {image.shape}, expected (H, W, 3) uint8: {error.err}.') from error
    return f'data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}'


def png(data: bytes) -> str:
    """Return a PNG's bytes as a data URI."""
    return f'data:image/png;base64,{base64.b64encode(data).decode()}'
