"""Hamiltonians as DeepH's sets of files, in both layouts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Element

from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.files import written
from hamexplorer.formats.deeph.blocks import StoredBlocks
from hamexplorer.formats.deeph.chunked import write_chunked
from hamexplorer.formats.deeph.crystal import shells_of
from hamexplorer.formats.deeph.keyed import write_keyed
from hamexplorer.formats.deeph.reader import ORDERS
from hamexplorer.formats.electrons import UNWRITTEN, are_assumed
from hamexplorer.formats.labels import unknown_told
from hamexplorer.formats.orders import HarmonicOrder, reordering
from hamexplorer.formats.spin_elements import spin_elements
from hamexplorer.formats.writing import WriteOptions, WriteReport, foreign
from hamexplorer.hamiltonian import Hamiltonian, Pairs, SpinState

__all__ = ["write_new", "write_old"]

_Write = Callable[[Path], object]
_MARK = {"written_by": "hamexplorer"}
"""In info.json: the set may be replaced."""


def write_new(h: Hamiltonian, target: Path, options: WriteOptions) -> WriteReport:
    """``POSCAR``, ``info.json``, ``overlap.h5`` and ``hamiltonian.h5`` in the folder ``target``.

    Raises:
        HamexplorerError: two sites of an element have different shells, a shell's l is beyond 6,
            the folder cannot be written, or holds files of others by these names.
    """
    metric, blocks = _matrices(h, options, ORDERS["new"])
    info = {
        **_MARK,
        "atoms_quantity": h.basis.n_sites,
        "orbits_quantity": h.basis.n_orbitals,
        "orthogonal_basis": False,
        "spinful": blocks.spins == 2,
        "fermi_energy_eV": _fermi_energy(h, options),
        "elements_orbital_map": _by_element(h),
        "occupation": None if are_assumed(h) else h.n_electrons,
    }
    sizes = h.basis.sizes
    files = _write(
        target,
        {
            "POSCAR": _text(_poscar(h)),
            "info.json": _text(json.dumps(info)),
            "overlap.h5": _hdf5(lambda file: write_chunked(file, metric, sizes)),
            "hamiltonian.h5": _hdf5(lambda file: write_chunked(file, blocks, sizes)),
        },
        options.force,
    )
    groups = [symbol for symbol, _ in itertools.groupby(h.basis.symbols)]
    notes = _notes(h, options, blocks.spins)
    if len(set(groups)) < len(groups):
        notes.append(
            f"POSCAR names elements more than once ({' '.join(groups)}): the sites keep their "
            "order."
        )
    return WriteReport(files, tuple(notes))


def write_old(h: Hamiltonian, target: Path, options: WriteOptions) -> WriteReport:
    """The text files of the old layout, ``overlaps.h5`` and ``hamiltonians.h5`` in ``target``.

    ``info.json`` holds the number of electrons as ``occupation``, which only hamexplorer reads
    there.

    Raises:
        HamexplorerError: a shell's l is beyond 6, or the folder cannot be written or holds files of
            others by these names.
    """
    metric, blocks = _matrices(h, options, ORDERS["old"])
    lattice = h.structure.lattice
    info = {
        **_MARK,
        "nsites": h.basis.n_sites,
        "isorthogonal": False,
        "isspinful": blocks.spins == 2,
        "fermi_level": _fermi_energy(h, options),
        "occupation": None if are_assumed(h) else h.n_electrons,
    }
    cells = np.unique(h.pairs.cell, axis=0)
    sizes = h.basis.sizes
    files = _write(
        target,
        {
            "lat.dat": _text(_table(lattice.matrix.T)),
            "rlat.dat": _text(_table(lattice.reciprocal_lattice.matrix.T)),
            "site_positions.dat": _text(_table(h.structure.cart_coords.T)),
            "element.dat": _text(_table([[Element(s).Z] for s in h.basis.symbols])),
            "orbital_types.dat": _text(
                "".join("\t".join(str(s.l) for s in of) + "\n" for of in h.basis.shells)
            ),
            "R_list.dat": _text(_table(cells)),
            "info.json": _text(json.dumps(info)),
            "overlaps.h5": _hdf5(lambda file: write_keyed(file, metric, sizes)),
            "hamiltonians.h5": _hdf5(lambda file: write_keyed(file, blocks, sizes)),
        },
        options.force,
    )
    return WriteReport(files, tuple(_notes(h, options, blocks.spins)))


def _matrices(
    h: Hamiltonian, options: WriteOptions, order: HarmonicOrder
) -> tuple[StoredBlocks, StoredBlocks]:
    """S and H in the file's order of harmonics."""
    pairs = h.pairs
    to_file = reordering(pairs, h.basis, order).inverse()
    index = np.column_stack([pairs.cell, pairs.first, pairs.second])
    metric = StoredBlocks("overlap", index, pairs.offsets[:-1], 1, to_file(h.overlap))
    # a complex H without spin has no place in either layout
    if options.as_spinor(h) or (options.spinor is None and h.time_odd is not None):
        parts = spin_elements(h, options.state)
        spinors = _spin_blocks(
            pairs, [to_file(p) for p in (parts.upup, parts.updown, parts.downup, parts.downdown)]
        )
        return metric, StoredBlocks("hamiltonian", index, 4 * pairs.offsets[:-1], 2, spinors)
    scalar = to_file(h.scalar)
    return metric, StoredBlocks("hamiltonian", index, pairs.offsets[:-1], 1, scalar)


def _spin_blocks(pairs: Pairs, parts: list[NDArray[np.complex128]]) -> NDArray[np.complex128]:
    """Flat blocks [[↑↑, ↑↓], [↓↑, ↓↓]] of flat ↑↑, ↑↓, ↓↑, ↓↓; (4 n_elements,)."""
    values = np.empty(4 * pairs.n_elements, dtype=complex)
    shapes = np.column_stack([pairs.sizes[pairs.first], pairs.sizes[pairs.second]])
    for n, m in np.unique(shapes, axis=0).tolist():
        starts = pairs.offsets[:-1][(shapes == [n, m]).all(axis=1), None]
        source = starts + np.arange(n * m)
        blocks = np.stack([part[source] for part in parts]).reshape(2, 2, -1, n, m)
        target = 4 * starts + np.arange(4 * n * m)
        values[target] = blocks.transpose(2, 0, 3, 1, 4).reshape(-1, 4 * n * m)
    return values


def _write(target: Path, contents: Mapping[str, _Write], force: bool) -> tuple[Path, ...]:
    """All files or none; those of another name in the folder stay."""
    if target.exists() and not target.is_dir():
        raise SettingsError(f"{target} exists and is no folder.")
    standing = [target / name for name in contents if (target / name).exists()]
    if standing and not force and not _ours(target / "info.json"):
        raise foreign(standing)
    made = not target.exists()
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise HamexplorerError(f"{target} cannot be made: {error.strerror}.") from error
    try:
        with ExitStack() as stack:
            paths = {name: stack.enter_context(written(target / name)) for name in contents}
            for name, write in contents.items():
                write(paths[name])
    except BaseException:
        if made:
            with suppress(OSError):  # not empty: somebody else's
                target.rmdir()
        raise
    return tuple(target / name for name in contents)


def _ours(info: Path) -> bool:
    """Whether an info.json carries our mark."""
    try:
        found = json.loads(info.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and _MARK.items() <= found.items()


def _text(content: str) -> _Write:
    return lambda path: path.write_text(content, encoding="utf-8")


def _hdf5(fill: Callable[[h5py.File], None]) -> _Write:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            fill(file)

    return write


def _table(rows: ArrayLike) -> str:
    """Rows of numbers with all their digits."""
    return "".join("\t".join(repr(x) for x in row) + "\n" for row in np.asarray(rows).tolist())


def _poscar(h: Hamiltonian) -> str:
    """VASP 5, cell and sites as they are.

    pymatgen's own turns a left-handed cell round, of which R would know nothing.
    """
    groups = [(symbol, len(list(of))) for symbol, of in itertools.groupby(h.basis.symbols)]
    return (
        f"{h.structure.composition.reduced_formula} by hamexplorer\n1.0\n"
        f"{_table(h.structure.lattice.matrix)}"
        f"{' '.join(symbol for symbol, _ in groups)}\n"
        f"{' '.join(str(count) for _, count in groups)}\n"
        f"Cartesian\n{_table(h.structure.cart_coords)}"
    )


def _by_element(h: Hamiltonian) -> dict[str, list[int]]:
    """The angular momenta of each element's shells."""
    found: dict[str, list[int]] = {}
    for symbol, shells in zip(h.basis.symbols, h.basis.shells, strict=True):
        momenta = [shell.l for shell in shells]
        if found.setdefault(symbol, momenta) != momenta:
            raise SettingsError(
                f"Sites of {symbol} have different shells ({found[symbol]} and {momenta}); DeepH's "
                "new layout keeps one basis for each element. Write the old one (deeph-old)."
            )
    return found


def _fermi_energy(h: Hamiltonian, options: WriteOptions) -> float | None:
    """Of the calculation, eV; None if it told none, or the dial has moved the levels."""
    fermi: Any = h.provenance.results.get("fermi_energy_eV")
    known = isinstance(fermi, int | float) and options.state == SpinState()
    return float(fermi) if known else None


def _notes(h: Hamiltonian, options: WriteOptions, spins: int) -> list[str]:
    notes = []
    turned = [
        name
        for name, there in (
            ("exchange", h.is_magnetic),
            ("spin–orbit", h.has_spin_orbit),
            ("the time-odd part", h.time_odd is not None),
        )
        if there
    ]
    state = options.state
    if turned and spins == 1:
        notes.append(f"Without spin: {', '.join(turned)} left out.")
    elif h.is_magnetic or h.has_spin_orbit:
        notes.append(
            f"DeepH's files know no dial: λ = {state.soc:g}, θ = {state.theta:g}°, φ = "
            f"{state.phi:g}° and exchange × {state.exchange:g} are written in."
        )
    lost = [
        name
        for name, there in (
            ("position matrix elements", h.has_position),
            ("the uncertainty", h.uncertainty is not None),
        )
        if there
    ]
    if lost:
        notes.append(f"DeepH's files have no place for {' and '.join(lost)}.")
    if any(of_site != shells_of(tuple(s.l for s in of_site)) for of_site in h.basis.shells):
        notes.append("Of a shell only l is kept: 4d becomes d1.")
    if unknown := unknown_told(h.basis):
        notes.append(unknown)
    if are_assumed(h):
        notes.append(UNWRITTEN)
    return notes
