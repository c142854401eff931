"""Whether the spin–orbit part of a file has nature's sign.

A wrong convention of ↑↓ or of conjugation leaves a Hermitian matrix with plausible bands, but
inverted multiplets: its Λ has the other sign. On site, within a shell, it is Λ_a = −(i/2) ξ L_a
with ξ > 0 (ξ(r) of a nucleus is positive), so that the sign shows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.hamiltonian.angular import rotation_generators

__all__ = ["coupling_doubt", "on_site_coupling", "with_coupling_doubt"]

_TELLING = 1e-3
"""eV; a smaller ξ is left alone."""


def on_site_coupling(h: Hamiltonian) -> float | None:
    """ξ (eV) of the shell and site where |ξ| is largest; None without Λ or shells of l > 0.

    ξ = 2 Σ_a ⟨Λ_a, G_a⟩ / Σ_a ⟨G_a, G_a⟩ with G_a = −i L_a, element by element.
    """
    if h.spin_orbit is None:
        return None
    found = []
    pairs = h.pairs
    for pair in np.flatnonzero((pairs.first == pairs.second) & ~pairs.cell.any(axis=1)):
        block = pairs.block(h.spin_orbit, int(pair))
        start = 0
        for shell in h.basis.shells[pairs.first[pair]]:
            end = start + shell.size
            if shell.l:
                g = rotation_generators(shell.l)
                found.append(2 * float(np.sum(block[:, start:end, start:end] * g) / np.sum(g * g)))
            start = end
    return max(found, key=abs, default=None)


def coupling_doubt(h: Hamiltonian) -> str | None:
    """A sentence if the largest on-site ξ is negative, else None."""
    xi = on_site_coupling(h)
    if xi is None or xi > -_TELLING:
        return None
    return (
        f"The spin–orbit part has the wrong sign: the largest coupling on site is ξ = {xi:.3f} eV, "
        "nature's is positive. Multiplets are inverted and spins turned over; perhaps the file is "
        "of a version with another convention."
    )


def with_coupling_doubt(h: Hamiltonian) -> Hamiltonian:
    """``h``, with :func:`coupling_doubt` among its warnings if there is one."""
    doubt = coupling_doubt(h)
    if doubt is None:
        return h
    warnings = (*h.provenance.warnings, doubt)
    return replace(h, provenance=replace(h.provenance, warnings=warnings))
