"""JupyterLab itself: a notebook is run in it, and the explorer in a cell moves its bands."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser import Browser, page, wait_until  # noqa: F401 - page is a fixture

from hamexplorer.app.notebook import _free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
]

FIRST_LOOK = Path(__file__).resolve().parents[2] / "notebooks/01_first_look.ipynb"
LONG = 180_000
Y_VALUES = """() => {
  for (const document of window.Bokeh.documents) {
    for (const model of document._all_models.values()) {
      if (model.glyph?.type === "Line" && model.data_source.data.y?.length > 500
          && model.glyph.line_width.value === 2)
        return [...model.data_source.data.y].filter(Number.isFinite)
    }
  }
}"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """A JupyterLab on this machine alone, with folders of its own; its address."""
    port = _free_port()
    folders = {
        f"JUPYTER_{name}_DIR": str(tmp_path / name.lower())
        for name in ("CONFIG", "DATA", "RUNTIME")
    }
    folders["JUPYTERLAB_WORKSPACES_DIR"] = str(tmp_path / "workspaces")
    folders["JUPYTERLAB_SETTINGS_DIR"] = str(tmp_path / "settings")
    with (tmp_path / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *("--ip=localhost", f"--port={port}", "--ServerApp.port_retries=0"),
                *("--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}"),
                "--LabApp.news_url=None",
                "--LabApp.expose_app_in_browser=True",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            ],
            env={**os.environ, **folders},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://localhost:{port}"
    try:
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api/status", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def notebook(folder: Path) -> str:
    """The first notebook's imports and explorer, on the shipped MoS2 in place of a calculation."""
    source = nbformat.read(FIRST_LOOK, as_version=4)
    imports, last = source.cells[1], source.cells[-1]
    assert "import hamexplorer as hx" in imports.source
    assert last.source == "hx.Explorer(h)"
    example = nbformat.v4.new_code_cell(
        'from hamexplorer.assets_path import asset\nh = hx.open(asset("examples/mos2.h5"))\nh'
    )
    cells = [imports, example, last]
    path = folder / "look.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=source.metadata), path)
    return path.name


def test_the_explorer_works_in_a_cell(page: Browser, lab: str, tmp_path: Path) -> None:  # noqa: F811
    name = notebook(tmp_path)
    wait_until(lambda: answers(lab), timeout=120_000)
    # JupyterLab offers to build itself anew for extensions that other packages bring along.
    dialog = page.page.locator("dialog.jp-Dialog")
    page.page.add_locator_handler(dialog, lambda: dialog.locator(".jp-mod-reject").click())
    page.page.goto(f"{lab}/lab/tree/{name}", wait_until="domcontentloaded")
    page.page.locator(".jp-CodeCell").nth(2).wait_for(timeout=LONG)
    page.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=LONG)
    # Not by the menu: a dialog that comes up late closes it.
    page.page.evaluate("() => window.jupyterapp.commands.execute('runmenu:run-all')")

    element = page.page.locator("iframe[title=hamexplorer]")
    element.wait_for(timeout=LONG)
    element.scroll_into_view_if_needed()
    explorer = page.page.frame_locator("iframe[title=hamexplorer]")
    explorer.get_by_text("Gap along the path").wait_for(timeout=LONG)
    at_k = explorer.locator("table.hx-splittings tr").filter(has_text="K").first
    wait_until(lambda: "144.0" in at_k.inner_text(), page.page, timeout=LONG)

    frame: Any = element.element_handle().content_frame()
    before = frame.evaluate(Y_VALUES)
    slider = explorer.locator("input[type=range]").first
    slider.focus()
    for _ in range(10):
        slider.press("ArrowLeft")
    wait_until(lambda: "129." in at_k.inner_text(), page.page, timeout=LONG)  # 90 % of 144 meV
    after = frame.evaluate(Y_VALUES)
    assert len(after) == len(before) > 500
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) > 0.01  # eV
    assert page.foreign == []
