# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""viser's server for this machine alone. The only module that needs viser.

viser serves its page, three.js included, from this machine; nothing is asked of another. Its page is made light for
browsers that draw with the processor: there, smoothing of edges costs more than the scene, and pixels cost more than
triangles. A script before viser's own asks the browser what draws, and where it is no graphics card gives up both. On a
graphics card nothing changes. Another script takes over whether the browser wishes a dark page, folds the panel where
the screen is narrow, and keeps the arrow keys, which step through time, from turning the scene too.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ..errors import ConfigError, needing

_LOG = logging.getLogger(__name__)

# Share of the screen's pixels along each side, where a processor draws.
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
# The narrow screens are those where viser puts its panel at the bottom; its head is what one taps to unfold it.
_MANNERS = """<script>(() => {
  const address = new URL(location.href);
  if (matchMedia('(prefers-color-scheme: dark)').matches && !address.searchParams.has('darkMode')) {
    address.searchParams.set('darkMode', '');
    try { history.replaceState(null, '', address); } catch { /* a file's address cannot be changed */ }
  }
  document.documentElement.addEventListener('keydown', event => {
    if (['ArrowLeft', 'ArrowRight'].includes(event.key)) event.stopPropagation();
  });
  if (!matchMedia('(max-width: 36em)').matches) return;
  const watch = new MutationObserver(() => {
    const head = [...document.querySelectorAll('div')].find(
      one => one.style.cursor === 'pointer' && one.style.height === '3.5em');
    if (head) { watch.disconnect(); setTimeout(() => head.click()); }
  });
  watch.observe(document, {childList: true, subtree: true});
})()</script>"""
_TITLE = 'geo_pose'


class SceneServer:
    """Serves a viser scene.

    Attributes:
        viser: the scene and the controls beside it.
        url: of the page.
    """

    def __init__(self, host: str, port: int, *, exact_port: bool) -> None:
        """Serve, as ``Stage`` says."""
        _check_port(host, port if exact_port else 0)
        with needing('viser', 'The viewer'):
            import viser
        # It prints a banner of its own, and logs every browser that comes and goes.
        logging.getLogger('websockets.server').setLevel(logging.ERROR)
        self._folder = tempfile.TemporaryDirectory(prefix='geo_pose_view_')
        served = lightened_folder(Path(viser.__file__).parent / 'client' / 'build', Path(self._folder.name))
        with contextlib.redirect_stdout(io.StringIO()), _serving(viser.infra, served):
            self.viser = viser.ViserServer(host=host, port=port, verbose=False)
        self.url = f'http://{"localhost" if host in ("127.0.0.1", "0.0.0.0") else host}:{self.viser.get_port()}'
        # Its share button would open a tunnel to somebody else's server.
        setattr(self.viser, 'request_share_url', _no_tunnel)  # noqa: B010 - the checker refuses to replace a method
        self.viser.gui.configure_theme(show_logo=False, show_share_button=False, control_width='medium')

    def close(self) -> None:
        """Stop serving."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.viser.stop()
        self._folder.cleanup()


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f'{host}:{port} cannot be served: {error.strerror}. Choose another with --port or --host; without '
                '--port a free one is taken.'
            ) from error


def lightened(page: str) -> str:
    """Return viser's page, HTML, with our title and our scripts before all others."""
    page = page.replace('<title>Viser</title>', f'<title>{_TITLE}</title>', 1)
    return with_first_in_head(page, _SCRIPT + _MANNERS)


def with_first_in_head(page: str, element: str) -> str:
    """Return a page, HTML, with one more element at the beginning of its head."""
    return re.sub(r'<head[^>]*>', lambda head: head.group() + element, page, count=1)


def lightened_folder(own: Path, folder: Path) -> Path:
    """Write viser's page, lightened, into ``folder`` and return that; viser's own folder where it has another page."""
    page = own / 'index.html'
    if [path.name for path in own.glob('*')] != [page.name]:
        _LOG.warning('This version of viser has another page than ours knows; it is served as it is.')
        return own
    (folder / page.name).write_text(lightened(page.read_text(encoding='utf-8')), encoding='utf-8')
    return folder


@contextlib.contextmanager
def _serving(infra: ModuleType, folder: Path) -> Iterator[None]:
    """Let servers that viser makes meanwhile serve ``folder``: it has no argument for that."""
    original = infra.WebsockServer
    setattr(infra, 'WebsockServer', lambda *given, **settings: original(  # noqa: B010 - a module has no such field
        *given, **{**settings, 'http_server_root': folder}))
    try:
        yield
    finally:
        setattr(infra, 'WebsockServer', original)  # noqa: B010


def _no_tunnel(*_: object) -> None:
    _LOG.warning('A browser asked for a public address of this viewer; it has none. Use an SSH tunnel instead.')
