"""Files that the plots' menu hands to the visitor."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import Browser
from PIL import Image
from visit import LONG, clean, drawn, opened, page, said  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser


def saved(browser: Browser, label: str) -> tuple[str, bytes]:
    """Choose ``label`` in the export menu of the page in view; name and content of the file."""
    browser.page.get_by_role("button", name="Export").locator("visible=true").click()
    with browser.page.expect_download(timeout=LONG) as download:
        browser.page.get_by_text(label, exact=True).locator("visible=true").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def picture(data: bytes) -> np.ndarray[Any, Any]:
    """The pixels (rows, columns, 3) of a PNG."""
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def test_bands_and_dos_as_csv_and_png(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened()
    drawn(shell, page)
    bands = shell.bands._bands.result

    name, data = saved(page, "Bands (CSV)")
    assert name == "GaAs-bands-soc100.csv"
    table = pd.read_csv(io.BytesIO(data))
    assert list(table.columns) == [
        *("k_index", "k1", "k2", "k3", "band", "energy_eV", "energy_from_fermi_eV"),
        *("distance_per_A", "label"),
    ]
    np.testing.assert_allclose(table["energy_eV"], bands.energies.ravel(), atol=1e-9)
    np.testing.assert_allclose(
        table["energy_eV"] - table["energy_from_fermi_eV"], bands.fermi.energy, atol=1e-9
    )
    assert {"Γ", "X", "L"} <= set(table["label"].dropna())

    name, data = saved(page, "DOS (CSV)")
    table = pd.read_csv(io.BytesIO(data))
    assert name == "GaAs-dos-soc100.csv"
    assert list(table.columns) == [
        *("energy_eV", "total_per_eV", "integrated", "Ga per_eV", "As per_eV")
    ]
    np.testing.assert_allclose(
        table["Ga per_eV"] + table["As per_eV"], table["total_per_eV"], atol=1e-9
    )
    assert table["total_per_eV"].max() > 0.1

    name, data = saved(page, "Bands (PNG)")
    assert name == "GaAs-bands-soc100.png"
    pixels = picture(data)
    assert min(pixels.shape[:2]) > 300
    blue = (pixels[..., 2].astype(int) - pixels[..., 0] > 120).sum()
    assert blue > 500  # the bands themselves
    clean(page)
