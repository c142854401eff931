"""A Hamiltonian as HamGNN's ``graph_data.npz``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written
from hamexplorer.formats.hamgnn.elements import LAYOUTS, orbital_set, valence
from hamexplorer.formats.hamgnn.padding import Padding
from hamexplorer.formats.hamgnn.pickle_stream import object_array, tensor, write_pickle
from hamexplorer.formats.openmx.reader import BOHR, HARTREE
from hamexplorer.formats.restricted_pickle import GlobalName, Record
from hamexplorer.formats.spin_elements import spin_elements
from hamexplorer.formats.writing import WriteOptions, WriteReport, foreign
from hamexplorer.hamiltonian import Hamiltonian, Shell

__all__ = ["write_hamgnn"]

_SOURCES = ("openmx", "hamgnn", "model")
_MARK = b"written by hamexplorer"
"""The archive's comment: the file may be replaced."""
_DATA = "torch_geometric.data.data"


def write_hamgnn(h: Hamiltonian, target: Path, options: WriteOptions) -> WriteReport:
    """One graph, with H as its target and no H0, in single precision as HamGNN keeps it.

    Written are spinors if H has spin–orbit, A, or an exchange field of three components, or if
    ``options.spinor`` asks for them; else ↑ and ↓ of a collinear magnet; else one matrix. Of
    spinors ↓↑ is written as the complex conjugate of ↑↓ edge by edge, as HamGNN does, not as its
    adjoint.

    ``torch_geometric`` is not needed: the file names its classes and makes none.

    Raises:
        SettingsError: the suffix is not .npz; the orbitals are not those of OpenMX for which
            HamGNN has places; a file of others stands there; or spinors are declined for what
            only spinors hold.
        FileFormatError: an element that HamGNN does not have.
        HamexplorerError: the file cannot be written.
    """
    path = checked_output(target, (".npz",))
    if path.exists() and not options.force and not _ours(path):
        raise foreign([path])
    width = _width(h)
    graph = _Graph(h, width)
    fields = {**graph.fields(), **_matrices(h, graph, options)}
    mapping = {name: _kept(value) for name, value in fields.items()}
    data = Record(GlobalName(_DATA, "Data"))
    data.state = {
        "_edge_attr_cls": GlobalName(_DATA, "DataEdgeAttr"),
        "_tensor_attr_cls": GlobalName(_DATA, "DataTensorAttr"),
        "_store": Record(
            GlobalName("torch_geometric.data.storage", "GlobalStorage"),
            state={"_mapping": mapping, "_parent": data},
        ),
    }
    with (
        written(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        archive.open("graph.npy", "w", force_zip64=True) as stream,
    ):
        archive.comment = _MARK
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(stream, header)
        write_pickle(object_array({0: data}), stream)
    return WriteReport((path,), _notes(h, width, options))


def _ours(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == _MARK
    except (OSError, zipfile.BadZipFile):
        return False


def _width(h: Hamiltonian) -> int:
    """``nao_max``: what the Hamiltonian was read with, or what the elements' whole sets need."""
    if h.provenance.source not in _SOURCES:
        raise SettingsError(
            "HamGNN's graphs hold matrices in OpenMX's pseudo-atomic orbitals, and those of "
            f"{h.provenance.title} are others: only what OpenMX or HamGNN made can be written."
        )
    used: set[Shell] = set()
    needed: set[Shell] = set()
    for symbol, shells in dict.fromkeys(zip(h.basis.symbols, h.basis.shells, strict=True)):
        known = orbital_set(symbol)
        extra = [shell.label for shell in shells if shell not in known]
        if extra:
            raise SettingsError(
                f"HamGNN has no place for {', '.join(extra)} of {symbol}; its orbitals of it are "
                f"{', '.join(shell.label for shell in known)}."
            )
        used.update(shells)
        needed.update(known)
    width = h.provenance.settings.get("nao_max")
    if isinstance(width, int) and used <= set(LAYOUTS.get(width, ())):
        return width
    # 13 belongs to other codes' orders of orbitals, too
    return next(w for w, layout in LAYOUTS.items() if w != 13 and needed <= set(layout))


class _Graph:
    """Atoms and edges: the order in which the pairs' blocks are written."""

    def __init__(self, h: Hamiltonian, width: int) -> None:
        pairs = h.pairs
        self._h = h
        self.width = width
        self.padding = Padding(width, pairs, h.basis)
        own = (pairs.first == pairs.second) & ~pairs.cell.any(axis=1)
        if np.count_nonzero(own) < h.basis.n_sites:
            raise SettingsError("A HamGNN graph needs the on-site block of every atom.")
        self._on = np.flatnonzero(own)[np.argsort(pairs.first[own])]
        self._off = np.flatnonzero(~own)

    def split(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows of the atoms and of the edges."""
        return rows[self._on], rows[self._off]

    def fields(self) -> dict[str, Any]:
        """All but the Hamiltonian."""
        h, pairs, off = self._h, self._h.pairs, self._off
        place = np.empty(pairs.n_pairs, dtype=np.int64)
        place[off] = np.arange(len(off))
        lattice = h.structure.lattice.matrix / BOHR
        son, soff = self.split(self.padding.rows(h.overlap))
        return {
            "edge_index": np.stack([pairs.first[off], pairs.second[off]]),
            "pos": _single(h.structure.cart_coords / BOHR),
            "z": np.array([Element(s).Z for s in h.basis.symbols], dtype=np.int64),
            "cell": _single(lattice[None]),
            "total_energy": float(h.provenance.results.get("total_energy_eV", 0.0)) / HARTREE,
            "node_counts": np.array([h.basis.n_sites], dtype=np.int64),
            "inv_edge_idx": place[pairs.reverse[off]],
            "nbr_shift": _single(pairs.cell[off] @ lattice),
            "cell_shift": pairs.cell[off],
            "Son": son,
            "Soff": soff,
            "overlap": np.concatenate([son, soff]),
            "doping_charge": np.zeros(1, dtype=np.float32),
        }


def _matrices(h: Hamiltonian, graph: _Graph, options: WriteOptions) -> dict[str, Any]:
    """The fields of H and of the H0 that is zero."""
    if _as_spinor(h, options):
        real, imaginary = _spinor_rows(h, graph, options)
        parts = {"": real, "i": imaginary}
    else:
        parts = {"": _real_rows(h, graph, options)}
    fields = {}
    for prefix, rows in parts.items():
        for name, part in zip(("Hon", "Hoff"), graph.split(rows), strict=True):
            fields[f"{prefix}{name}"] = part
            fields[f"{prefix}{name}0"] = np.zeros_like(part)
    if len(parts) == 1:
        fields["hamiltonian"] = np.concatenate([fields["Hon"], fields["Hoff"]])
    return fields


def _as_spinor(h: Hamiltonian, options: WriteOptions) -> bool:
    three = h.exchange is not None and h.exchange.ndim == 2
    if options.spinor is None:
        return h.has_spin_orbit or three or h.time_odd is not None
    if not options.spinor and (three or h.time_odd is not None):
        what = "an exchange field of three components" if three else "a part odd in time (A)"
        raise SettingsError(f"Without spinors a HamGNN graph cannot hold {what}.")
    return options.spinor


def _real_rows(h: Hamiltonian, graph: _Graph, options: WriteOptions) -> NDArray[np.float32]:
    """(n_pairs, n²) of H_scalar, or (n_pairs, 2, n²) of ↑ and ↓."""
    if h.exchange is None:
        return graph.padding.rows(h.scalar / HARTREE)
    field = options.state.exchange * h.exchange
    spins = [graph.padding.rows((h.scalar + sign * field) / HARTREE) for sign in (1, -1)]
    return np.stack(spins, axis=1)


def _spinor_rows(
    h: Hamiltonian, graph: _Graph, options: WriteOptions
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    elements = spin_elements(h, options.state)
    blocks = {
        "↑↑": elements.upup,
        "↑↓": elements.updown,
        "↓↑": elements.updown.conj(),
        "↓↓": elements.downdown,
    }
    shape = (h.pairs.n_pairs, 4 * graph.width**2)
    real, imaginary = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for spins, block in blocks.items():
        graph.padding.put(real, block.real / HARTREE, spins)
        graph.padding.put(imaginary, block.imag / HARTREE, spins)
    return real, imaginary


def _notes(h: Hamiltonian, width: int, options: WriteOptions) -> tuple[str, ...]:
    """What the file does not keep, or HamGNN will not find in it."""
    rounding = 1e3 * np.finfo(np.float32).eps / 2 * float(np.abs(h.scalar).max())
    told = [
        f"HamGNN keeps single precision: elements are rounded by up to {rounding:.1g} meV.",
        "H0 (Hon0, Hoff0) is not known and written as zero: train with add_H0: false.",
    ]
    missing = _missing_shells(h, width)
    if missing:
        told.append(
            f"HamGNN's sets have more shells ({missing}); they are zero rows, also of the overlap, "
            "with which HamGNN's own band script cannot work."
        )
    standard = sum(map(valence, h.basis.symbols))
    if abs(standard - h.n_electrons) > 1e-6:
        told.append(
            f"The number of electrons is not kept: HamGNN counts {standard} of standard "
            f"pseudopotentials, here are {h.n_electrons:g}."
        )
    if h.position is not None or h.uncertainty is not None:
        told.append("Position elements and uncertainties are not kept.")
    if not _as_spinor(h, options):
        if h.has_spin_orbit:
            told.append("Spin–orbit coupling is left out.")
        return tuple(told)
    told += [
        f"One spin state is kept: spin–orbit × {options.state.soc:g}, θ = {options.state.theta:g}°,"
        f" φ = {options.state.phi:g}°, exchange × {options.state.exchange:g}.",
        "Lon and Loff (matrices of the angular momentum) are not written: HamGNN can take bands "
        "of this graph, but train or run its spin–orbit network on no graph without them.",
    ]
    if h.is_magnetic:
        told.append(
            "↓↑ is written as HamGNN has it, the complex conjugate of ↑↓. With an exchange field "
            "along x or y HamGNN's bands are then not those of this Hamiltonian; hamexplorer "
            "reads ↑↓ alone and is right."
        )
    return tuple(told)


def _missing_shells(h: Hamiltonian, width: int) -> str:
    found = []
    for symbol, shells in dict.fromkeys(zip(h.basis.symbols, h.basis.shells, strict=True)):
        places = [s for s in orbital_set(symbol) if s in LAYOUTS[width]]
        missing = [shell.label for shell in places if shell not in shells]
        if missing:
            found.append(f"{symbol}: {', '.join(missing)}")
    return "; ".join(found)


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _kept(value: Any) -> Any:
    return tensor(value) if isinstance(value, np.ndarray) else value
