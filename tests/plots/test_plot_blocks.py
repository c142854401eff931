"""Images of blocks and the decay of elements."""

import holoviews as hv
import models
import numpy as np
import pytest

from hamexplorer.errors import HamiltonianError, SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.plots import (
    LiveBlockPlot,
    LiveDecayPlot,
    block_image,
    block_plot,
    decay_plot,
    show,
)
from hamexplorer.properties import block_decay


@pytest.fixture(scope="module")
def crystal():
    return models.random_crystal(2, [models.S, models.P], magnetic=True)


def test_image_is_the_block_with_its_labels(crystal):
    image = block_image(crystal, 0, 1, (1, 0, 0), component="Lz")
    np.testing.assert_array_equal(image.values, crystal.block("Lz", 0, 1, (1, 0, 0)))
    assert image.rows == ("s", "p y", "p z", "p x")
    assert image.spin_orbit
    assert image.limits[0] == -image.limits[1]
    assert block_image(crystal, 0, 1, component="S").unit == ""
    assert image.palette(True) != block_image(crystal, 0, 1).palette(True)


@pytest.mark.parametrize("part", ["real", "imag", "abs"])
def test_spinor_parts(crystal, part):
    state = SpinState(0.5, 30, 40)
    image = block_image(crystal, 0, 1, component="spinor", part=part, state=state)
    spinor = crystal.spinor_block(0, 1, state=state)
    expected = {"real": spinor.real, "imag": spinor.imag, "abs": abs(spinor)}[part]
    np.testing.assert_array_equal(image.values, expected)
    assert image.rows[0] == "s ↑"
    assert image.rows[4] == "s ↓"
    assert image.signed == (part != "abs")


def test_bad_requests(crystal):
    with pytest.raises(SettingsError, match="phase"):
        block_image(crystal, 0, 1, component="spinor", part="phase")
    with pytest.raises(HamiltonianError, match="Bx"):
        block_image(crystal, 0, 1, component="Bx")
    with pytest.raises(HamiltonianError, match="No block"):
        block_image(crystal, 0, 1, (9, 9, 9))


def test_live_block_is_patched_in_place(crystal):
    plot = LiveBlockPlot(block_image(crystal, 0, 1))
    renderers = list(plot.figure.renderers)
    plot.update(block_image(crystal, 0, 0, component="spinor", part="abs"))
    assert list(plot.figure.renderers) == renderers
    assert len(plot.source.data["value"]) == 64
    assert plot.figure.y_range.factors[-1] == "s ↑"
    where = plot.source.data["row"].index("p y ↓") + plot.source.data["column"].index("s ↑")
    spinor = crystal.spinor_block(0, 0)
    assert plot.source.data["value"][where] == pytest.approx(abs(spinor[5, 0]))


def test_a_block_of_zeros_has_a_scale():
    h = models.graphene(kane_mele=0.1)
    assert block_image(h, 0, 1, component="Lx").limits == (-1.0, 1.0)


def test_decay_holds_the_largest_elements_by_distance(crystal):
    decay = block_decay(crystal)
    assert (np.diff(decay.distances) >= 0).all()
    assert decay.largest.shape == (len(crystal.components), crystal.pairs.n_pairs)
    onsite = [p for p, label in enumerate(decay.labels) if label == "Si1–Si1 (0, 0, 0)"]
    row = decay.components.index("H")
    assert decay.largest[row, onsite[0]] == np.abs(crystal.block("H", 0, 0)).max()
    assert list(decay.to_dataframe().columns[:3]) == ["pair", "distance_A", "S"]


def test_all_of_it_renders(crystal):
    assert hv.render(block_plot(block_image(crystal, 0, 1)), backend="bokeh") is not None
    assert hv.render(decay_plot(block_decay(crystal)), backend="bokeh") is not None
    assert isinstance(show(block_decay(crystal)), hv.Overlay)
    assert len(LiveDecayPlot(block_decay(crystal), components=["H", "S"]).figure.renderers) == 2
