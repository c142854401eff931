"""HamGNN's graphs and matrices as a Hamiltonian."""

from __future__ import annotations

from typing import Any

from pymatgen.core import Structure

from hamexplorer.formats.bundle import Bundle
from hamexplorer.formats.hamgnn.conversion import crystal_hamiltonian
from hamexplorer.formats.hamgnn.graph import Crystal
from hamexplorer.formats.hamgnn.selection import Choice, choose
from hamexplorer.formats.openmx.reader import HARTREE
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.record import ReadRecord
from hamexplorer.formats.spinor import SpinParts
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.provenance import Provenance

__all__ = ["crystal_results", "read_hamgnn"]


def read_hamgnn(bundle: Bundle, options: ReadOptions) -> Hamiltonian:
    """H, B, Λ and S of a ``graph_data.npz``, or of a predicted matrix with its graph.

    The conventions, and how ↓↑ is repaired, are told in
    :func:`~hamexplorer.formats.hamgnn.conversion.crystal_hamiltonian`.

    Raises:
        FileFormatError: damaged, not one of HamGNN's, or of an element outside its tables.
        HamiltonianError: an edge is stored twice or without its reverse.
        ResourceLimitError: unpacks to absurdly much.
        SettingsError: no crystal of that number.
    """
    choice = choose(bundle, options.index)
    file = choice.graph if choice.matrix is None else choice.matrix
    record = ReadRecord(*(m for m in (choice.graph, choice.matrix) if m is not None))

    def provenance(structure: Structure, parts: SpinParts, warnings: list[str]) -> Provenance:
        return record.provenance(
            source="hamgnn",
            title=_title(choice),
            structure=structure,
            settings=_settings(choice),
            results=crystal_results(choice.crystal),
            parts=parts,
            warnings=[*choice.warnings, *_doubts(choice), *warnings],
        )

    return crystal_hamiltonian(choice.crystal, choice.rows, file.name, options, provenance)


def _doubts(choice: Choice) -> list[str]:
    told = []
    if choice.matrix is None and choice.crystal.copied:
        told.append(
            "The graph's target equals its H0: it was made without a self-consistent calculation "
            "(no Hartree and exchange–correlation terms), so these are not the crystal's bands."
        )
    if choice.n_crystals > 1 and choice.rows.imaginary is not None and choice.matrix is not None:
        told.append(
            f"{choice.matrix.name} holds {choice.n_crystals} crystals with spin–orbit; it is read "
            "as written with batch size 1."
        )
    return told


def _title(choice: Choice) -> str:
    if choice.matrix is not None:
        return f"HamGNN, {choice.matrix.basename}"
    return "HamGNN graph, " + ("its H0" if choice.crystal.copied else "its target")


def _settings(choice: Choice) -> dict[str, Any]:
    return {
        "graph": choice.graph.name,
        "matrix": "the graph's own" if choice.matrix is None else choice.matrix.name,
        "nao_max": choice.crystal.width,
        "crystal": choice.crystal.where.rpartition(" ")[2],
    }


def crystal_results(crystal: Crystal) -> dict[str, float]:
    """What the graph tells of its calculation, for the provenance."""
    if not crystal.total_energy:
        return {}
    return {"total_energy_eV": crystal.total_energy * HARTREE}
