"""Names of the stored components, and how each goes over to the reversed pair."""

from __future__ import annotations

__all__ = ["COMPONENTS", "transposition_sign"]

COMPONENTS = ("S", "H", "A", "B", "Bx", "By", "Bz", "Lx", "Ly", "Lz")
"""Overlap, H_scalar, the time-odd part A, exchange, spin-orbit Λ_x, Λ_y, Λ_z."""


def transposition_sign(component: str) -> float:
    """+1 where M[R] = M[−R]ᵀ (S, H, B); −1 where M[R] = −M[−R]ᵀ (A, Λ).

    The latter enter H as iM, so that both are Hermitian there.
    """
    return -1.0 if component[0] in "AL" else 1.0
