"""The Python interface: ``import hamexplorer as hx``."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hamexplorer as hx
from hamexplorer.errors import FileFormatError, SettingsError, StructureError
from hamexplorer.progress import Monitor
from hamexplorer.properties.dos import density_of_states

SETTINGS = {"kmesh": (2, 2, 2), "cutoff": 20.0}


@pytest.fixture(scope="module")
def h(silicon_h5: Path) -> hx.Hamiltonian:
    return hx.open(silicon_h5)


def test_import_is_light_and_names_are_known() -> None:
    code = (
        "import sys, time; t = time.perf_counter(); import hamexplorer as hx; "
        "assert set(hx.__all__) <= set(dir(hx)); hx.__version__; "
        "print(*[m for m in ('torch', 'pymatgen', 'numpy', 'pyscf', 'panel') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'band'"):
        _ = hx.band  # type: ignore[attr-defined]


def test_load_compute_bands(silicon: Path, h: hx.Hamiltonian) -> None:
    structure = hx.load(silicon)
    stages: list[str] = []
    monitor = Monitor(lambda event: stages.append(event.stage))
    computed = hx.compute(structure, monitor=monitor, **SETTINGS)
    assert stages
    assert np.array_equal(computed.scalar, h.scalar)
    b = hx.bands(computed, "G-X", soc=1.0)
    assert b.energies.shape == (len(b.path), 52)
    assert b.state.soc == 1.0
    assert "Si" in repr(b)


def test_bands_without_and_with_spin_orbit(h: hx.Hamiltonian) -> None:
    off, on = (hx.bands(h, "G-X", soc=soc) for soc in (0.0, 1.0))
    assert off.energies[0, 7] - off.energies[0, 2] < 1e-6
    assert 0.03 < on.energies[0, 7] - on.energies[0, 2] < 0.07
    assert on.splittings()["Γ"].valence < 1e-3  # inversion symmetry: Kramers pairs at Γ


def test_gap_of_the_zone_is_not_larger_than_that_of_a_path(h: hx.Hamiltonian) -> None:
    b = hx.bands(h, "G-L")
    assert hx.gap(h).value <= hx.gap(b).value == b.gap().value
    assert not hx.gap(h).is_direct


def test_dos_passes_its_result_through(h: hx.Hamiltonian) -> None:
    d = hx.dos(h, mesh=(3, 3, 3), groups="l", step=0.05)
    plain = density_of_states(h, mesh=(3, 3, 3), groups="l", step=0.05)
    assert np.array_equal(d.total, plain.total)
    assert list(d.to_dataframe().columns[:2]) == ["energy_eV", "total_per_eV"]


def test_save_and_open_are_inverse(h: hx.Hamiltonian, tmp_path: Path) -> None:
    path = tmp_path / "Si.h5"
    hx.save(h, path)
    again = hx.open(path)
    for name in h.components:
        assert np.array_equal(h.component(name), again.component(name))
    for wrong in (tmp_path / "Si.json", tmp_path / "none" / "Si.h5"):
        with pytest.raises(SettingsError):
            hx.save(h, wrong)
    with pytest.raises(SettingsError, match="not a Structure"):
        hx.save(h.structure, path)  # type: ignore[arg-type]
    with pytest.raises(FileFormatError):
        hx.open(tmp_path / "none.h5")


def test_views_save_tables_whole_or_not_at_all(h: hx.Hamiltonian, tmp_path: Path) -> None:
    b = hx.bands(h, "G-X")
    path = tmp_path / "bands.csv"
    b.save(path, zero="vbm", window=(-1, 1))
    before = path.read_text()
    assert before.startswith("k_index,k1,k2,k3,band,energy_eV")
    with pytest.raises(SettingsError, match="No band enters"):
        b.save(path, window=(500, 600))
    with pytest.raises(SettingsError, match="is empty"):
        b.save(path, window=(1, -1))
    with pytest.raises(SettingsError, match="accepted are"):
        b.save(tmp_path / "bands.xls")
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["bands.csv"]


def test_views_can_be_copied_and_pickled(h: hx.Hamiltonian) -> None:
    b = hx.bands(h, "G-X", spacing=0.3)
    for again in (copy.deepcopy(b), pickle.loads(pickle.dumps(b))):  # noqa: S301 - our own bytes
        assert np.array_equal(again.energies, b.energies)
    with pytest.raises(AttributeError):
        _ = b.nonsense


def test_plots_are_holoviews_elements(h: hx.Hamiltonian) -> None:
    import holoviews as hv

    b = hx.bands(h, "G-X", spacing=0.1, weights="l")
    assert isinstance(b.plot(), hv.Overlay)
    assert isinstance(b.plot(zero="vbm", colour_by=b.groups[0]), hv.Overlay)
    assert isinstance(hx.dos(h, mesh=(2, 2, 2), step=0.1).plot(), hv.Overlay)


@pytest.mark.slow
def test_views_show_themselves_in_a_notebook(silicon_h5: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    notebook = nbformat.v4.new_notebook()
    source = f"import hamexplorer as hx\nhx.bands(hx.open({str(silicon_h5)!r}), 'G-X')"
    notebook.cells = [nbformat.v4.new_code_cell(source)]
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = [output.data for output in notebook.cells[0].outputs if "data" in output]
    page = "".join(data.get("text/html", "") for data in shown)
    assert "data-root-id" in page or "bk-root" in page or "embed_document" in page
    assert not any(output.output_type == "error" for output in notebook.cells[0].outputs)


def test_gallery_by_name_and_as_a_table() -> None:
    table = hx.gallery()
    assert "mos2-1h" in table.index
    assert hx.gallery("mos2-1h").composition.reduced_formula == "MoS2"
    with pytest.raises(StructureError, match="mos2"):
        hx.gallery("mos2")


def test_wrong_arguments_are_named(h: hx.Hamiltonian) -> None:
    with pytest.raises(SettingsError, match="no point 'Q'"):
        hx.bands(h, "G-Q")
    with pytest.raises(SettingsError, match="soc must be a finite number"):
        hx.bands(h, soc=float("nan"))
    with pytest.raises(SettingsError, match="no setting 'kmsh'"):
        hx.compute(h.structure, kmsh=(1, 1, 1))
