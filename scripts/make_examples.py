"""Compute the Hamiltonian that the app opens with, into ``assets/examples``.

Run it after a change of the engine that changes its numbers (ENGINE_VERSION).
"""

from __future__ import annotations

from pathlib import Path

from hamexplorer.dft.engine import run
from hamexplorer.hamiltonian import save_hamiltonian
from hamexplorer.structures import load_gallery

ASSETS = Path(__file__).resolve().parents[1] / "assets" / "examples"


def main() -> None:
    """MoS2 in the engine's default settings."""
    ASSETS.mkdir(exist_ok=True)
    hamiltonian = run(load_gallery("mos2-1h"))
    save_hamiltonian(hamiltonian, ASSETS / "mos2.h5")
    print(hamiltonian)


if __name__ == "__main__":
    main()
