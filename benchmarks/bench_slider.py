"""From a step of the λ slider to the repainted bands, in a real browser.

    python benchmarks/bench_slider.py [--steps 60] [--colour spin_z] [--test-flags]

Each step is a key pressed on the slider of the app showing MoS2 (the shipped example), timed in
the browser from the key's event to the frame after the new bands were drawn. That what was drawn
belongs to the step is checked.

Chromium decides by itself what draws, as a visitor's does; the renderer of WebGL is printed. With
``--test-flags`` it is forced as in the browser tests, where page and plots, too, are drawn through
the emulated graphics card (SwiftShader), at about 0.4 s of processor time a frame of the bands.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from typing import Any

import numpy as np
import panel as pn
from playwright.sync_api import Page, sync_playwright

from hamexplorer.app import serve as app
from hamexplorer.app.shell import Shell

TEST_FLAGS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
RENDERER = """() => {
  const gl = document.createElement("canvas").getContext("webgl2");
  const info = gl && gl.getExtension("WEBGL_debug_renderer_info");
  return info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : String(gl);
}"""
SHELLS: list[Shell] = []

WATCH = """([ids]) => {
  window.painted = 0
  window.pressed = 0
  window.addEventListener("keydown", () => { window.pressed = performance.now() }, true)
  for (const id of ids) {
    for (const doc of window.Bokeh.documents) {
      const source = doc.get_model_by_id(id)
      if (!source) continue
      const note = () => requestAnimationFrame(() => setTimeout(() => {
        window.painted = performance.now() }, 0))
      source.properties.data.change.connect(note)
      source.patching.connect(note)
    }
  }
}"""


PAINTED = """() => new Promise((resolve, reject) => {
  const started = performance.now();
  const look = () => {
    if (window.painted > window.pressed) resolve(window.painted - window.pressed);
    else if (performance.now() - started > 20000) reject(new Error("nothing was painted"));
    else setTimeout(look, 10);
  };
  look();
})"""


class WatchedShell(Shell):
    """Remembers itself, so that the benchmark knows the ids of its data."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        SHELLS.append(self)


def step(page: Page, key: str) -> float:
    """Milliseconds from the key to the paint."""
    page.evaluate("() => { window.painted = 0 }")
    page.keyboard.press(key)
    # the browser waits by itself: polling from here would take the server's time
    took = float(page.evaluate(PAINTED))
    shell = SHELLS[-1]
    assert shell.bands._drawn is not None
    assert shell.bands._drawn.state == shell.state.spin_state, "the bands drawn are not the dial's"
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--colour", default="none")
    parser.add_argument("--test-flags", action="store_true")
    options = parser.parse_args()
    app.Shell = WatchedShell  # type: ignore[misc]
    port = 5997
    server = pn.serve(app.make_page, port=port, show=False, threaded=True, title="benchmark")
    time.sleep(1)
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", *(TEST_FLAGS if options.test_flags else ())],
        )
        page = chrome.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://localhost:{port}/?colour={options.colour}")
        page.wait_for_selector(".crystal[data-ready=true]", timeout=60_000)
        while not SHELLS or SHELLS[-1].bands._dos is None:
            page.wait_for_timeout(200)
        page.wait_for_timeout(2000)
        renderer = page.evaluate(RENDERER)
        bands = SHELLS[-1].bands._bands
        assert bands is not None
        page.evaluate(WATCH, [[bands.line_source.id, bands.segment_source.id]])
        page.locator("input[type=range]").nth(0).focus()
        for _ in range(5):
            step(page, "ArrowLeft")
        times = np.array([step(page, "ArrowLeft") for _ in range(options.steps)])
        chrome.close()
    nk, nb = bands.result.energies.shape
    print(
        f"MoS2, {nk} k-points, {nb} bands drawn, colour {options.colour}"
        f"{', test flags' if options.test_flags else ''}: slider to paint "
        f"{np.median(times):.0f} ms median, {np.quantile(times, 0.95):.0f} ms p95, "
        f"{times.max():.0f} ms at most ({len(times)} steps, load {os.getloadavg()[0]:.1f})\n"
        f"WebGL by {renderer}"
    )
    server.stop()


if __name__ == "__main__":
    main()
