"""The tests' own eyes: that they see errors, requests that leave, and differences of pictures."""

import pytest

from .conftest import is_outside
from .pictures import differing


@pytest.mark.parametrize(
    ('url', 'leaves'),
    [('http://localhost:8080/x', False), ('ws://127.0.0.1:1', False), ('data:text/html,x', False), ('file:///x', False),
     ('https://example.org', True), ('wss://example.org/x', True)],
)
def test_what_leaves_this_machine(url, leaves):
    assert is_outside(url) == leaves


def test_errors_and_requests_are_seen(watch, browser):
    seen = watch('data:text/html,<script>console.error("wrong");fetch("http://example.invalid/x").catch(()=>{})</script>')
    seen.page.wait_for_timeout(300)
    assert 'wrong' in seen.errors and seen.outside == ['http://example.invalid/x']
    seen.errors.clear()
    seen.outside.clear()


def test_pictures_that_differ(watch):
    seen = watch('data:text/html,<body style="background:white">')
    blank = seen.page.screenshot()
    seen.page.evaluate('document.body.style.background="linear-gradient(90deg,white 50%,black 50%)"')
    assert differing(blank, blank) == 0.0
    assert differing(blank, seen.page.screenshot()) == pytest.approx(0.5, abs=0.01)
