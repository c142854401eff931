"""What the page costs while nobody touches it."""

from __future__ import annotations

from typing import Any

import pytest
from browser import Browser
from visit import clean, drawn, opened, page, said  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser

COUNT = """() => {
  window.tasks = 0
  const post = MessagePort.prototype.postMessage
  MessagePort.prototype.postMessage = function (...rest) {
    window.tasks += 1
    return post.apply(this, rest)
  }
}"""


def busy(browser: Browser) -> int:
    """Tasks that the page set itself within two seconds, after it has come to rest."""
    browser.page.wait_for_timeout(2500)
    before = browser.page.evaluate("() => window.tasks")
    browser.page.wait_for_timeout(2000)
    return int(browser.page.evaluate("() => window.tasks") - before)


def test_a_page_at_rest_leaves_the_browser_alone(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened()
    drawn(shell, page)
    page.page.evaluate(COUNT)
    assert busy(page) < 50  # a hidden table that waits to be laid out: 100,000
    page.page.get_by_role("button", name="Hamiltonian", exact=True).click()
    said(page, "Largest |element|")
    assert busy(page) < 50
    page.page.get_by_role("button", name="Bands", exact=True).click()
    page.page.set_viewport_size({"width": 1500, "height": 900})
    assert busy(page) < 50
    clean(page)


def test_turning_the_dial_does_not_walk_the_whole_page(page: Browser, opened: Any) -> None:  # noqa: F811
    """Panel's busy flag, where bound to the page, is sent at every event after such a walk."""
    shell, _ = opened()
    drawn(shell, page)
    said(page, "Spin splitting (meV)")
    watched = page.page.evaluate(
        """() => {
          const busy = []
          let watched = 0
          for (const document of window.Bokeh.documents) {
            for (const model of document._all_models.values()) {
              if (model.data?.properties?.busy) {
                model.data.properties.busy.change.connect(() => busy.push(1))
                watched += 1
              }
            }
          }
          window.busy = busy
          return watched
        }"""
    )
    assert watched == 1
    page.page.locator("input[type=range]").nth(0).press("ArrowLeft")
    page.page.wait_for_timeout(1500)
    assert shell.state.soc < 1
    assert page.page.evaluate("() => window.busy.length") == 0
