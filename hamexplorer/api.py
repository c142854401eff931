"""The Python interface for notebooks and scripts, as ``import hamexplorer as hx``.

s = hx.load("MoS2.cif")            # or hx.gallery("mos2-1h")
h = hx.compute(s)
hx.bands(h, soc=1.0).plot()
hx.save(h, "MoS2.h5"); h = hx.open("MoS2.h5")
h = hx.open("WSe2.scfout")         # or another program's; hx.write(h, "WSe2_tb.dat")
m = hx.to_sisl(h)                  # hx.from_sisl(m), hx.to_pythtb(h): objects of other packages
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike
from pymatgen.core import Structure

from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written
from hamexplorer.formats import ReadOptions, SpinOrder
from hamexplorer.formats.pythtb import to_pythtb
from hamexplorer.formats.sisl_bridge import from_sisl, to_sisl
from hamexplorer.formats.writers import writer_for
from hamexplorer.formats.writing import WriteOptions, WriteReport
from hamexplorer.hamiltonian import Hamiltonian, SpinState, save_hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy import Directions, magnetic_anisotropy
from hamexplorer.properties.bands import BandStructure, band_structure, bands_on_mesh
from hamexplorer.properties.comparison import Shift
from hamexplorer.properties.comparison import compare as compare_hamiltonians
from hamexplorer.properties.dos import density_of_states
from hamexplorer.properties.field import with_field
from hamexplorer.properties.gap import Gap
from hamexplorer.properties.gap import gap as gap_of
from hamexplorer.properties.large_cells import WHOLE_PIECES, near_gap_bands
from hamexplorer.properties.valley import valley_readouts
from hamexplorer.properties.weights import Grouping
from hamexplorer.sources import FileSource, HamiltonianCache, Source
from hamexplorer.sources import compute as compute_hamiltonian
from hamexplorer.structures import bilayer as bilayers
from hamexplorer.structures.gallery import entries, load_gallery
from hamexplorer.structures.kpath import KPath, path_from_text, standard_path
from hamexplorer.structures.load import load_structure
from hamexplorer.views import (
    AnisotropyView,
    BandsView,
    ComparisonView,
    DosView,
    ValleyMapView,
    ValleyView,
)

if TYPE_CHECKING:
    import pandas as pd

    from hamexplorer.app.notebook import Explorer

__all__ = [
    "AnisotropyView",
    "BandsView",
    "Bilayer",
    "ComparisonView",
    "DosView",
    "Explorer",
    "Hamiltonian",
    "SpinState",
    "ValleyMapView",
    "ValleyView",
    "bands",
    "bilayer_cells",
    "compare",
    "compute",
    "dos",
    "explore",
    "from_sisl",
    "gallery",
    "gap",
    "heterobilayer",
    "load",
    "mae",
    "open",
    "save",
    "to_pythtb",
    "to_sisl",
    "twisted_bilayer",
    "valley",
    "write",
]

Bilayer = bilayers.Bilayer
Crystal = Structure | Atoms | str | os.PathLike[str] | bytes


def load(source: Crystal, *, filename: str | None = None, primitive: bool = False) -> Structure:
    """A crystal from a file, its text or bytes, a pymatgen ``Structure`` or an ASE ``Atoms``.

    ``filename`` names texts and bytes in messages; ``primitive`` reduces to the standard
    primitive cell.

    Raises:
        StructureError: it is no computable crystal.
        FileFormatError: it cannot be read.
        ResourceLimitError: it is too large.
    """
    return load_structure(source, filename=filename, primitive=primitive)


@overload
def gallery(name: str) -> Structure: ...


@overload
def gallery(name: None = None) -> pd.DataFrame: ...


def gallery(name: str | None = None) -> Structure | pd.DataFrame:
    """A shipped structure by name (``mos2-1h``), or the table of them all.

    Raises:
        StructureError: there is none of that name; near ones are named.
    """
    if name is not None:
        return load_gallery(name)
    import pandas as pd

    columns = ["name", "title", "formula", "family", "look_at", "reference"]
    return pd.DataFrame([asdict(entry) for entry in entries()])[columns].set_index("name")


def twisted_bilayer(layer: Crystal, angle: float, **options: Any) -> Bilayer:
    """A layer upon its own copy, turned by the commensurate angle nearest to ``angle`` degrees.

    ``layer`` is what :func:`load` takes, a gallery name, or the formula of one layer there;
    ``options`` are those of :func:`hamexplorer.structures.bilayer.twisted_bilayer`: ``stacking``,
    ``center``, ``shift``, ``distance``, ``vacuum``, ``max_atoms``, ``tolerance``. The result has
    ``.structure`` and ``.report``.

    Raises:
        StructureError: not a layer that can be twisted, or overlapping atoms.
        SettingsError: a parameter outside its range, or no common cell near the angle.
    """
    return bilayers.twisted_bilayer(_layer(layer), angle, **options)


def heterobilayer(lower: Crystal, upper: Crystal, **options: Any) -> Bilayer:
    """A layer upon another in their smallest common cell; the strain is in ``.report``.

    Layers as in :func:`twisted_bilayer`; ``options`` are those of
    :func:`hamexplorer.structures.bilayer.heterobilayer`: ``max_strain``, ``max_atoms``, ``angle``,
    ``angle_tolerance``, ``strained``, ``cell``, ``center``, ``shift``, ``distance``, ``vacuum``.

    Raises:
        StructureError: not layers, no common cell under the limits, or overlapping atoms.
        SettingsError: a parameter outside its range.
    """
    return bilayers.heterobilayer(_layer(lower), _layer(upper), **options)


def bilayer_cells(lower: Crystal, upper: Crystal | None = None, **options: Any) -> pd.DataFrame:
    """The cells that :func:`twisted_bilayer` (one layer) or :func:`heterobilayer` (two) choose
    from, smallest first.

    ``options``: ``max_atoms``; with two layers also ``max_strain``, ``angle``,
    ``angle_tolerance``, ``strained`` and ``limit``, and the column ``cell`` is what
    :func:`heterobilayer` takes.

    Raises:
        StructureError: not layers, or not one that can be twisted.
        SettingsError: a parameter outside its range.
    """
    import pandas as pd

    below = bilayers.layer_of(_layer(lower))
    if upper is None:
        twists = bilayers.twist_list(_layer(lower), **{"max_atoms": 400, **options})
        rows = [{**asdict(t), "atoms": 2 * t.cells * len(below)} for t in twists]
        return pd.DataFrame(rows, columns=["m", "n", "angle", "cells", "atoms"])
    cells = bilayers.coincidence_cells(below, bilayers.layer_of(_layer(upper)), **options)
    columns = ["atoms", "cells", "angle", "mean_strain", "max_strain", "area"]
    data = {name: [getattr(cell, name) for cell in cells] for name in columns}
    return pd.DataFrame({**data, "cell": list(cells)})


def compute(
    structure: Crystal,
    source: Source | str | None = None,
    *,
    cache: HamiltonianCache | bool = True,
    progress: bool | None = None,
    monitor: Monitor | None = None,
    **settings: Any,
) -> Hamiltonian:
    """The Hamiltonian of a crystal, from the disk cache or computed and stored there.

    Args:
        structure: what :func:`load` takes.
        source: ``dft`` (default), ``superposed`` (free atoms with fitted potentials, not
            self-consistent: any size, an approximation), another name, or a source object.
        cache: False: neither read nor write the disk cache.
        progress: show a bar; None: in a terminal or notebook only.
        monitor: told the progress instead; can cancel from another thread.
        settings: of the source, for ``dft`` the fields of
            :class:`~hamexplorer.dft.settings.DftSettings` (``kmesh=(6, 6, 1)``), for
            ``superposed`` those of
            :class:`~hamexplorer.dft.superposed.settings.SuperposedSettings` (``spacing=0.133``).

    Raises:
        HamexplorerError: bad input or settings, an element that is not covered, too large, or
            not converged; the message says which.
        CalculationCancelled: stopped by ``monitor`` or Ctrl-C.
    """
    crystal = load_structure(structure)
    if monitor is not None:
        return compute_hamiltonian(crystal, source, cache=cache, monitor=monitor, **settings)
    from hamexplorer.cli.progress import monitored

    show = _interactive() if progress is None else progress
    with monitored(show=show) as own:
        return compute_hamiltonian(crystal, source, cache=cache, monitor=own, **settings)


def bands(
    h: Hamiltonian | Crystal,
    path: KPath | str | None = None,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    spacing: float | None = None,
    weights: Grouping | None = None,
    spin: bool = False,
    near_gap: int | None = None,
    monitor: Monitor | None = None,
) -> BandsView:
    """Bands along a path, with ``.plot()``, ``.to_dataframe()``, ``.save(path)``.

    Args:
        h: a Hamiltonian; a crystal is computed first, with default settings.
        path: ``"G-M-K-G"``, a :class:`~hamexplorer.structures.kpath.KPath`, or the lattice's own.
        soc: spin-orbit strength λ; 0 off, 1 nature's.
        theta: polar angle of the magnetisation from z, degrees.
        phi: its azimuth from x, degrees.
        exchange: factor on the exchange field.
        spacing: of the k-points, 1/Å; default 0.03, with ``near_gap`` the named points alone.
        weights: also give every state's weights on groups of orbitals: ``element``, …
        spin: also give every state's spin expectation value.
        near_gap: only so many bands around the gap, both spins counted, as cells of hundreds of
            atoms need it: :func:`hamexplorer.properties.large_cells.near_gap_bands`.
        monitor: told the progress of ``near_gap``; can cancel.

    Raises:
        SettingsError: a parameter is out of range, or the path names an unknown point.
        ResourceLimitError: the matrices do not fit into the memory that is free.
    """
    hamiltonian = _hamiltonian(h)
    state = SpinState(soc, theta, phi, exchange)
    if near_gap is not None:
        points = _path(hamiltonian, path, WHOLE_PIECES if spacing is None else spacing)
        found = near_gap_bands(
            hamiltonian, points, near_gap, state, weights=weights, spin=spin, monitor=monitor
        )
        return BandsView(found)
    points = _path(hamiltonian, path, 0.03 if spacing is None else spacing)
    return BandsView(band_structure(hamiltonian, points, state, weights=weights, spin=spin))


def dos(
    h: Hamiltonian | Crystal,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    mesh: tuple[int, int, int] | None = None,
    method: Literal["tetrahedron", "gaussian"] = "tetrahedron",
    broadening: float = 0.05,
    energy_range: tuple[float, float] | None = None,
    step: float = 0.01,
    groups: Grouping | None = None,
) -> DosView:
    """Density of states, total and by groups of orbitals; arguments as :func:`bands`' and
    :func:`hamexplorer.properties.dos.density_of_states`'.

    Raises:
        SettingsError: a parameter is out of range.
    """
    return DosView(
        density_of_states(
            _hamiltonian(h),
            SpinState(soc, theta, phi, exchange),
            mesh=mesh,
            method=method,
            broadening=broadening,
            energy_range=energy_range,
            step=step,
            groups=groups,
        )
    )


def gap(
    h: Hamiltonian | Crystal | BandsView,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    mesh: tuple[int, int, int] | None = None,
) -> Gap:
    """The band gap over the standard path and a mesh: value, kind and place of both edges.

    Given the view of bands that were computed already, the gap along their path.

    Raises:
        SettingsError: a parameter is out of range, or the electrons fill no whole bands.
    """
    if isinstance(h, BandsView):
        return h.gap()
    hamiltonian, state = _hamiltonian(h), SpinState(soc, theta, phi, exchange)
    on_mesh = bands_on_mesh(hamiltonian, mesh, state)
    return gap_of(_band_structure(hamiltonian, state), on_mesh)


def mae(
    h: Hamiltonian | Crystal,
    theta: ArrayLike = (0.0, 90.0),
    phi: ArrayLike = 0.0,
    *,
    soc: float = 1.0,
    exchange: float = 1.0,
    mesh: tuple[int, int, int] | None = None,
    smearing: float = 0.1,
    method: Literal["exact", "fast"] = "exact",
    by_k: bool = False,
    collinear: bool = False,
    monitor: Monitor | None = None,
) -> AnisotropyView:
    """Energy against the direction of the magnetisation, by the force theorem.

    The view has ``.mae_meV`` (last direction minus first), ``.constants()``, ``.plot()``,
    ``.to_dataframe()`` and ``.save(path)``.

    Args:
        h: a magnetic Hamiltonian with spin-orbit part; a crystal is computed first.
        theta: polar angles from z, degrees; broadcast with ``phi``.
        phi: azimuths from x, degrees.
        soc: spin-orbit strength λ.
        exchange: factor on the exchange field.
        mesh: divisions of the k mesh; default: spacing 0.25 1/Å. Converge it.
        smearing: kT of the occupations, eV.
        method: ``exact``, or ``fast``: second variation, with an estimate of its error.
        by_k: also give every k-point's part.
        collinear: keep only the main component of an exchange field of three.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: not magnetic, no spin-orbit part, or a parameter out of range.
    """
    if method not in ("exact", "fast"):
        raise SettingsError(f"method is 'exact' or 'fast', not {method!r}.")
    try:
        thetas, phis = np.broadcast_arrays(np.atleast_1d(theta), np.atleast_1d(phi))
    except ValueError as error:
        raise SettingsError("theta and phi must be of the same length, or one of them one.") from (
            error
        )
    hamiltonian = _hamiltonian(h)
    result = magnetic_anisotropy(
        hamiltonian,
        Directions(thetas, phis),
        mesh,
        smearing,
        soc,
        exchange,
        "exact" if method == "exact" else "second variation",
        monitor,
        by_k,
        collinear=collinear,
    )
    return AnisotropyView(result, hamiltonian.structure)


def valley(
    h: Hamiltonian | Crystal,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    field: float = 0.0,
    sites: Iterable[int] | None = None,
    extremum: Literal["gap", "valence", "conduction"] = "gap",
) -> ValleyView:
    """The valleys of a layer near K and K′: energies, splittings, spins, Berry curvatures.

    The view has ``.k`` and ``.k_prime``, ``.valence_difference`` (meV), ``.map(n)``,
    ``.splitting(fields)``, ``.chern()``, ``.to_dataframe()`` and ``.save(path)``.

    Args:
        h: a layer's Hamiltonian; a crystal is computed first.
        soc: spin-orbit strength λ.
        theta: polar angle of the magnetisation or field from z, degrees.
        phi: its azimuth from x, degrees.
        exchange: factor on the exchange field.
        field: splits the spins on ``sites`` by so many meV, along n(θ, φ); see
            :func:`hamexplorer.properties.field.with_field`.
        sites: the atoms that feel it; default all.
        extremum: what a valley is: the smallest direct gap, or an edge of one band.

    Raises:
        StructureError: the crystal is not a layer.
        SettingsError: no valleys in its lattice, no whole bands filled, or a parameter out of
            range.
    """
    hamiltonian, state = _hamiltonian(h), SpinState(soc, theta, phi, exchange)
    if field:
        hamiltonian = with_field(hamiltonian, field, sites)
    return ValleyView(valley_readouts(hamiltonian, state, extremum=extremum), hamiltonian)


def compare(
    first: Hamiltonian | str | Path,
    second: Hamiltonian | str | Path,
    path: KPath | str | None = None,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    spacing: float = 0.03,
    shift: Shift | None = None,
    window: tuple[float, float] = (-2.0, 2.0),
) -> ComparisonView:
    """Two Hamiltonians of one structure: errors of elements beside those of bands near the gap.

    The view has ``.verdict``, ``.bands`` and ``.elements``, ``.plot()``, ``.to_dataframe(table)``
    and ``.save(path)``.

    Args:
        first: the reference: a Hamiltonian, or what :func:`open` reads.
        second: what is compared with it.
        path: as in :func:`bands`.
        soc: spin-orbit strength λ, of both.
        theta: polar angle of the magnetisation from z, degrees.
        phi: its azimuth from x, degrees.
        exchange: factor on the exchange field.
        spacing: of the k-points, 1/Å.
        shift: constant c in H + c·S of the second: ``none``, ``fit``, ``vbm`` or ``fermi``; see
            :func:`hamexplorer.properties.comparison.compare`.
        window: eV below the valence top and above the conduction bottom.

    Raises:
        StructureError: the two are not of one structure, or their sites stand in another order.
        SettingsError: a parameter is out of range, or the path names an unknown point.
        FileFormatError: a file that cannot be read.
    """
    given = (first, second)
    one, other = (h if isinstance(h, Hamiltonian) else open(h) for h in given)
    titles = (h.provenance.title if isinstance(h, Hamiltonian) else Path(h).name for h in given)
    return ComparisonView(
        compare_hamiltonians(
            one,
            other,
            _path(one, path, spacing),
            SpinState(soc, theta, phi, exchange),
            shift=shift,
            window=window,
            names=(next(titles), next(titles)),
        )
    )


def save(h: Hamiltonian, path: str | Path) -> None:
    """Write a Hamiltonian to an HDF5 file, whole or not at all.

    Raises:
        SettingsError: the suffix is not .h5 or .hdf5, or the directory does not exist.
        HamexplorerError: the file cannot be written; what stood there is untouched.
    """
    _check_is_hamiltonian(h)
    with written(checked_output(path, (".h5", ".hdf5"))) as temporary:
        save_hamiltonian(h, temporary)


def write(
    h: Hamiltonian,
    target: str | Path,
    to: str | None = None,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    spinor: bool | None = None,
    mesh: tuple[int, int, int] | None = None,
    force: bool = False,
) -> WriteReport:
    """Write a Hamiltonian for another program; the files, and what the format does not keep.

    Args:
        h: the Hamiltonian.
        target: a file, or a folder for formats of several files.
        to: name of the format; None: what the target's name means (``hamexplorer convert --list``).
        soc: spin-orbit strength λ that is written into formats without a dial.
        theta: polar angle of the magnetisation that is written, from z, degrees.
        phi: its azimuth from x, degrees.
        exchange: factor on the exchange field that is written.
        spinor: write spinors; None: if there is spin-orbit or exchange.
        mesh: of k, on which overlapping orbitals are made orthogonal for formats without overlap.
        force: replace files that hamexplorer did not write.

    Raises:
        SettingsError: no such format, or it cannot hold this Hamiltonian.
        HamexplorerError: it cannot be written; what stood there is untouched.
    """
    _check_is_hamiltonian(h)
    options = WriteOptions(SpinState(soc, theta, phi, exchange), spinor, force, mesh)
    return writer_for(str(target), to).write(h, Path(target), options)


def open(
    path: str | Path,
    *,
    electrons: float | None = None,
    fermi: float | None = None,
    structure: Crystal | None = None,
    spin_order: SpinOrder | None = None,
    index: int = 0,
) -> Hamiltonian:
    """Read a Hamiltonian: ours, or another program's in a file, folder or archive.

    Args:
        path: its format is found by content (``hamexplorer convert --list``).
        electrons: per cell, both spins; where the file does not tell, or instead.
        fermi: eV; electrons are counted up to it where the file tells neither.
        structure: the crystal, for files without one.
        spin_order: ``block`` or ``interleaved``, for files of spinors that do not tell.
        index: which crystal of a file that holds several, from 0.

    Raises:
        FileFormatError: no such file, of no known format, damaged, or of a newer layout.
        ResourceLimitError: it is larger than 4 GB.
        SettingsError: an option does not fit the file.
    """
    crystal = None if structure is None else load_structure(structure)
    options = ReadOptions(electrons, fermi, crystal, spin_order, index)
    return FileSource(Path(path), options).hamiltonian


def explore(crystal: Hamiltonian | Crystal | None = None, **options: Any) -> Explorer:
    """The explorer inside a notebook cell; options as
    :class:`hamexplorer.app.notebook.Explorer`'s.
    """
    from hamexplorer.app.notebook import explore as show

    given = crystal
    if given is not None and not isinstance(given, Hamiltonian):
        given = load_structure(given)
    return show(given, **options)


def __getattr__(name: str) -> Any:
    if name == "Explorer":
        from hamexplorer.app.notebook import Explorer

        return Explorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _layer(given: Crystal) -> Structure:
    """What :func:`load` takes, or a gallery name or formula where no file of that name is."""
    if isinstance(given, str) and "\n" not in given and not Path(given).exists():
        found = bilayers.named_layer(given)
        if found is not None:
            return found
    return load_structure(given)


def _hamiltonian(given: Hamiltonian | Crystal) -> Hamiltonian:
    return given if isinstance(given, Hamiltonian) else compute(given)


def _check_is_hamiltonian(given: Any) -> None:
    if not isinstance(given, Hamiltonian):
        raise SettingsError(f"A Hamiltonian can be saved, not a {type(given).__name__}.")


def _path(h: Hamiltonian, path: KPath | str | None, spacing: float) -> KPath:
    if isinstance(path, str):
        return path_from_text(path, h.structure, spacing)
    return standard_path(h.structure, spacing) if path is None else path


def _band_structure(h: Hamiltonian, state: SpinState) -> BandStructure:
    return band_structure(h, standard_path(h.structure), state)


def _interactive() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules
