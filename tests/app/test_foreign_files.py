"""Other programs' files dropped on the page in a real browser."""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, wait_until
from visit import LONG, clean, drawn, opened, page, said  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[1] / "data"
SCFOUT = DATA / "openmx" / "wse2_nc.scfout.xz"
WANNIER = DATA / "wannier90" / "si"


def give(browser: Browser, *files: Path) -> None:
    browser.page.locator("input[type=file]").first.set_input_files([str(f) for f in files])


def arrived(shell: Any, browser: Browser, source: str) -> None:
    """Wait until a Hamiltonian of that source and its bands are there."""

    def there() -> bool:
        h = shell.state.hamiltonian
        if h is None or h.provenance.source != source or shell.state.job is not None:
            return False
        return bool(shell.bands._bands.result.title == h.structure.composition.reduced_formula)

    wait_until(there, browser.page, timeout=2 * LONG)


def test_a_dropped_scfout_opens_on_every_page(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened()
    drawn(shell, page)
    give(page, SCFOUT)
    arrived(shell, page, "openmx")
    said(page, "OpenMX, GGA-PBE, non-collinear, spin–orbit")  # the strip
    said(page, "529.5")  # meV, splitting at K
    page.page.get_by_role("button", name="Valleys", exact=True).click()
    wait_until(lambda: shell.valleys.view.zone is not None, page.page, timeout=2 * LONG)
    assert np.nanmax(np.abs(shell.valleys.view.zone.source.data["value"][0])) > 1  # Å²
    page.page.get_by_role("button", name="Details", exact=True).click()
    said(page, "files: wse2_nc.scfout.xz")
    wait_until(lambda: "h=" in page.page.url, page.page)
    assert shell.state.notices == []
    clean(page)


def test_archives_folders_and_pairs_of_files(
    page: Browser,  # noqa: F811
    opened: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    shell, _ = opened()
    drawn(shell, page)
    archive = tmp_path / "run.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(DATA / "openmx" / "fe_nc.scfout.xz", "run/fe.scfout.xz")
        packed.writestr("run/fe.out", "done")
    give(page, archive)
    arrived(shell, page, "openmx")
    assert shell.state.subject.title == "run"
    assert shell.state.hamiltonian.is_magnetic

    give(page, WANNIER / "si_hr.dat.xz", WANNIER / "si.win", WANNIER / "si_wsvec.dat.xz")
    arrived(shell, page, "wannier90")
    said(page, "half of all states, are assumed")  # the fold has opened itself
    page.page.get_by_label("Electrons per cell").fill("6")
    page.page.get_by_role("button", name="Apply to this Hamiltonian").click()
    wait_until(lambda: shell.state.hamiltonian.n_electrons == 6, page.page, timeout=LONG)
    said(page, "6 electrons, as you said")

    folder = tmp_path / "outer" / "run"
    folder.mkdir(parents=True)
    shutil.copy(SCFOUT, folder / "wse2.scfout.xz")
    (folder / ".hidden").write_text("x")
    drag(page, tmp_path / "outer")
    wait_until(lambda: shell.state.subject.title == "wse2", page.page, timeout=LONG)
    arrived(shell, page, "openmx")

    shutil.copytree(DATA / "abacus" / "mos2" / "OUT.ABACUS", tmp_path / "abacus" / "OUT.ABACUS")
    shutil.copy(DATA / "abacus" / "mos2" / "STRU", tmp_path / "abacus")
    drag(page, tmp_path / "abacus")
    # the fixture has no overlap: that it is missed shows that the folder inside was looked into
    said(page, "data-HR-sparse_SPIN0.csr.xz has no overlap beside it")
    assert shell.state.subject.title == "wse2"
    clean(page)


def drag(browser: Browser, path: Path) -> None:
    """Let a file or folder of the disk fall on the middle of the page, as the desktop does."""
    session = browser.page.context.new_cdp_session(browser.page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent",
            {
                "type": kind,
                "x": 600,
                "y": 400,
                "data": {"items": [], "files": [str(path)], "dragOperationsMask": 1},
            },
        )


class Hostile:
    """Unpickled with full power it would leave a file behind."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


def test_a_file_that_would_run_code_is_refused(
    page: Browser,  # noqa: F811
    opened: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    shell, _ = opened()
    drawn(shell, page)
    before = shell.state.subject
    canary = tmp_path / "ran"
    array = np.empty(1, object)
    array[0] = Hostile(canary)
    buffer = io.BytesIO()
    np.savez(buffer, graph=array)
    pickle.loads(pickle.dumps(array))  # noqa: S301 - to see that it would
    assert canary.exists()
    canary.unlink()
    bad = tmp_path / "graph_data.npz"
    bad.write_bytes(buffer.getvalue())
    give(page, bad)
    wait_until(lambda: len(shell.state.notices) == 1, page.page, timeout=LONG)
    said(page, "graph_data.npz")
    assert shell.state.notices[0].severity == "error"
    assert not canary.exists()
    assert shell.state.subject is before
    clean(page)
