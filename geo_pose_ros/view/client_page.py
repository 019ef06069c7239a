"""The page that browsers load, made light for those that draw with the processor.

There, smoothing of edges costs more than the scene, and pixels cost more than triangles: a script before viser's own
asks the browser what draws, and where it is no graphics card gives up both. On a card nothing changes.
"""

from __future__ import annotations

import re

# Of the screen's pixels along each side, where a processor draws.
_PIXELS = 0.75

_SCRIPT = """<script>(() => {
  const probe = document.createElement('canvas').getContext('webgl2');
  const names = probe && probe.getExtension('WEBGL_debug_renderer_info');
  const drawn_by = names ? probe.getParameter(names.UNMASKED_RENDERER_WEBGL) : '';
  if (probe) probe.getExtension('WEBGL_lose_context')?.loseContext();
  if (!/swiftshader|llvmpipe|softpipe|software|basic render/i.test(drawn_by)) return;
  const get = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, wishes) {
    return get.call(this, kind, /^webgl/.test(kind) ? {...wishes, antialias: false} : wishes);
  };
  const address = new URL(location.href);
  if (!address.searchParams.has('fixedDpr')) {
    address.searchParams.set('fixedDpr', PIXELS * devicePixelRatio);
    try { history.replaceState(null, '', address); } catch { /* a file's address cannot be changed */ }
  }
})()</script>""".replace('PIXELS', str(_PIXELS))


def lightened(page: str) -> str:
    """Return viser's page, HTML, with the script before all others."""
    return re.sub(r'<head[^>]*>', lambda head: head.group() + _SCRIPT, page, count=1)
