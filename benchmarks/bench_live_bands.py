"""λ moved to bands painted, in a real browser: milliseconds per step.

    python benchmarks/bench_live_bands.py [--kpoints 300] [--orbitals 52] [--steps 30] [--colour]

A Bokeh server holds a LiveBandPlot; λ is moved from inside the page through a slider, one step
after another, and the page measures from the slider's change to the frame after the new data were
drawn. Diagonalisation, transport and painting are all in the figure.
"""

from __future__ import annotations

import argparse
import shutil
import threading

import numpy as np
from bench_bands import synthetic
from bokeh.layouts import column
from bokeh.models import Slider
from bokeh.server.server import Server
from playwright.sync_api import sync_playwright

from hamexplorer.hamiltonian import SpinState
from hamexplorer.plots import LiveBandPlot
from hamexplorer.properties import BandSolver, band_structure, fermi_level
from hamexplorer.structures.kpath import path_from_points

MOVE = """async (value) => {
  const doc = Bokeh.documents[0];
  const slider = doc.get_model_by_name('soc');
  const source = doc.get_model_by_name('%s');
  const start = performance.now();
  const done = new Promise((resolve) => {
    const seen = () => { source.change.disconnect(seen);
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
    };
    source.change.connect(seen);
  });
  slider.value = value;
  return await done;
}"""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kpoints", type=int, default=300)
    parser.add_argument("--orbitals", type=int, default=52)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--colour", action="store_true", help="colour by spin (needs states)")
    arguments = parser.parse_args()
    h = synthetic(arguments.orbitals)
    corners = [("Γ", [0, 0, 0]), ("M", [0.5, 0, 0]), ("K", [1 / 3, 1 / 3, 0]), ("Γ", [0, 0, 0])]
    length = path_from_points(h.structure, corners, 0.5).distances[-1]
    path = path_from_points(h.structure, corners, length / arguments.kpoints)
    solver = BandSolver(h, path.kpoints)
    fermi = fermi_level(h, mesh=(6, 6, 1))
    name = "segments" if arguments.colour else "lines"

    def page(document) -> None:  # type: ignore[no-untyped-def]
        def bands(soc: float):  # type: ignore[no-untyped-def]
            return band_structure(
                h, path, SpinState(soc=soc), fermi=fermi, solver=solver, spin=arguments.colour
            )

        plot = LiveBandPlot(
            bands(1.0),
            bands(0.0),
            width=1000,
            height=640,
            colour_by="spin_z" if arguments.colour else None,
        )
        source = plot.segment_source if arguments.colour else plot.line_source
        source.name = name

        def moved(_attr: str, _old: float, new: float) -> None:
            plot.update(bands(new))

        slider = Slider(start=0, end=2, step=0.01, value=1.0, name="soc")
        slider.on_change("value", moved)
        document.add_root(column(slider, plot.figure))

    server = Server({"/": page}, port=0, address="127.0.0.1")
    server.start()
    threading.Thread(
        target=_drive, args=(server, arguments.steps, name, len(path)), daemon=True
    ).start()
    server.io_loop.start()


def _drive(server: Server, steps: int, name: str, nk: int) -> None:
    times = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"http://127.0.0.1:{server.port}/")
            page.wait_for_function("window.Bokeh && Bokeh.documents.length > 0")
            page.wait_for_timeout(1500)
            values = 0.2 + 1.6 * np.random.default_rng(0).random(steps + 3)
            times.extend(page.evaluate(MOVE % name, float(value)) for value in values)
            browser.close()
        shown = times[3:]
        print(
            f"{nk} k-points, {name}: median {np.median(shown):.0f} ms, "
            f"p95 {np.percentile(shown, 95):.0f} ms"
        )
    finally:
        server.io_loop.add_callback(server.io_loop.stop)


if __name__ == "__main__":
    main()
