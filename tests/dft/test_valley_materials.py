"""WSe2 from the engine to its valleys."""

from __future__ import annotations

import crystals
import numpy as np
import pytest

from hamexplorer.dft import engine
from hamexplorer.dft.settings import DftSettings
from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.valley import valley_readouts


@pytest.mark.slow
def test_wse2() -> None:
    h = engine.run(crystals.wse2(), DftSettings(kmesh=(6, 6, 1)))
    pair = valley_readouts(h)
    # The second band, |m = 2, ↓⟩, mixes with odd |m = 1, ↑⟩ states some 3 eV away through L₋S₊,
    # by about (ξ_W/3 eV)² = 1 % of its norm; the first, |m = 2, ↑⟩, has no such partner.
    # OpenMX's WSe2 has 0.953 and 0.99996 (tests/formats/test_openmx.py).
    assert abs(pair.k.spin[1, 2]) >= 0.99
    assert abs(pair.k.spin[0, 2]) >= 0.97
    assert pair.k.spin[0, 2] * pair.k.spin[1, 2] < 0
    weak = valley_readouts(h, SpinState(0.5), valleys=(pair.k.valley, pair.k_prime.valley))
    ratio = (1 - abs(pair.k.spin[0, 2])) / (1 - abs(weak.k.spin[0, 2]))
    assert ratio == pytest.approx(4, rel=0.25)  # second order in λ
    np.testing.assert_allclose(pair.k_prime.spin, -pair.k.spin, atol=1e-6)
    assert abs(pair.k.polarisation) >= 0.99
    # D. Xiao et al., Phys. Rev. Lett. 108, 196802 (2012), table I: a = 3.310 Å, t = 1.19 eV,
    # Δ = 1.60 eV, 2λ = 0.46 eV; the two-band model's 2 a²t²/(Δ − λ)² at the valence band's top
    model = 2 * (3.310 * 1.19) ** 2 / (1.60 - 0.23) ** 2
    assert abs(pair.k.curvature[1]) == pytest.approx(model, rel=0.2)
