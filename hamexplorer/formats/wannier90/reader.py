"""Wannier90's ``_hr.dat`` and ``_tb.dat`` as a Hamiltonian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.bundle import Bundle, Member
from hamexplorer.formats.electrons import with_electrons
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.record import ReadRecord
from hamexplorer.formats.sparse import diagonal
from hamexplorer.formats.spin_elements import mixed_mean
from hamexplorer.formats.spinor import SpinParts, collinear_parts, spinor_parts
from hamexplorer.formats.wannier90.blocks import Placement, SpinBlock, common_pairs, shares
from hamexplorer.formats.wannier90.companions import (
    Model,
    chosen_models,
    find_structure,
    is_model,
    one_spin_of_two,
    read_model,
)
from hamexplorer.formats.wannier90.layout import Layout, lay_out, nearest_image
from hamexplorer.formats.wannier90.matrices import MAX_R
from hamexplorer.formats.wannier90.position import Centred, centred_position, position_of_centres
from hamexplorer.formats.wannier90.projections import Projection
from hamexplorer.formats.wannier90.spins import SpinLayout, spin_layout
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs

__all__ = ["read_wannier90", "recognises"]

_ROUNDING = {"hr": 2e-6, "tb": 1e-7}
"""eV; a component no element of which is larger is left out. ``_hr.dat`` has six decimals."""
_TIME_ODD_NOISE = 2e-6
"""eV; exchange and A that both stay below are the noise of a non-magnetic calculation (1.4e-6 in
GaAs of Quantum ESPRESSO), which would pass for magnetism."""
_TOLERANCE = 1e-4
_PARTNERS_APART = 0.3
"""Å between the centres of up and down beyond which functions are told to be no partners."""


def recognises(bundle: Bundle) -> bool:
    """Whether one of the files begins as a ``_hr.dat`` or ``_tb.dat``."""
    return bool(bundle.where(is_model))


def read_wannier90(bundle: Bundle, options: ReadOptions) -> Hamiltonian:
    """H between Wannier functions, S = 1, and the position elements of a ``_tb.dat``.

    ``seed_wsvec.dat`` beside it is applied as Wannier90 applies it. Cell and atoms come from the
    options, ``seed.win``, a structure file, or the ``_tb.dat`` itself; without atoms every group of
    functions is a site X. Functions stand at their nearest atoms. Two files of a spin-polarised
    calculation make one Hamiltonian.

    Raises:
        FileFormatError: damaged files, files that do not belong together, no cell.
        SettingsError: an option that does not fit.
    """
    chosen = chosen_models(bundle)
    models = [read_model(member, bundle) for member in chosen]
    if len(models) == 2:
        _check_pair(models, options)
        spins = None
        spatial = [np.arange(models[0].raw.n_functions)] * 2
    else:
        spins = spin_layout(models[0], options)
        spatial = [spins.up] if spins.down is None else [spins.up, spins.down]
    record = ReadRecord(*{m.name: m for model in models for m in model.members}.values())
    lattice, atoms, atoms_from = _crystal(bundle, models, options, record)
    centres, apart = _spatial_centres(models, spatial, lattice)
    projections = _spatial_projections(models[0], spatial)
    layout = lay_out(lattice, atoms, centres, projections, len(spatial[0]))
    built = _assembled(models, spatial, layout, lattice)
    images = _images_missed(models)
    warnings = [
        *([images] if images else []),
        *(spins.warnings if spins else ()),
        *layout.warnings,
        *built.position.warnings,
    ]
    if spins is not None and spins.down is None and one_spin_of_two(chosen[0]):
        warnings.append(
            f"{models[0].raw.name} is named as one spin of two, but the other file is not beside "
            "it: every function is taken to hold two electrons."
        )
    if apart > _PARTNERS_APART:
        warnings.append(
            f"Wannier functions of up and down that stand at the same place of the list lie up to "
            f"{apart:.2f} Å apart: they are no partners. Energies at full spin–orbit strength are "
            "exact, but λ, n and the exchange field mean little."
        )
    if spins is None and built.parts.spin_orbit is not None:
        warnings.append(
            "The Wannier functions are complex, differently for up and down by up to "
            f"{float(abs(built.parts.spin_orbit).max()):.2g} eV in H: that part is kept, exact at "
            "λ = 1, but is no spin–orbit coupling."
        )
    results = dict(built.position.results)
    if apart > _PARTNERS_APART or (spins is None and built.parts.spin_orbit is not None):
        results["spin_pure"] = False  # what λ, n and the exchange field turn is not spin alone
    provenance = record.provenance(
        source="wannier90",
        title=_title(models, spins),
        structure=layout.structure,
        settings=_settings(models, spins, layout, atoms_from),
        results=results,
        parts=built.parts,
        warnings=warnings,
    )
    h = Hamiltonian(
        structure=layout.structure,
        basis=layout.basis,
        pairs=built.pairs,
        overlap=diagonal(built.pairs).astype(float),
        scalar=built.parts.scalar,
        exchange=built.parts.exchange,
        spin_orbit=built.parts.spin_orbit,
        time_odd=built.parts.time_odd,
        position=built.position.x,
        n_electrons=0.0,
        provenance=provenance,
    )
    win = models[0].win
    if win is None:
        return with_electrons(h, options)
    return with_electrons(h, options, win.fermi_energy, win.n_electrons)


# --- what belongs together ------------------------------------------------------------------


def _check_pair(models: list[Model], options: ReadOptions) -> None:
    up, down = models
    if options.spin_order is not None:
        raise SettingsError(
            f"{up.raw.name} and {down.raw.name} are a spin-polarised pair; --spin-order is for "
            "spinors."
        )
    if up.raw.n_functions != down.raw.n_functions:
        raise FileFormatError(
            f"{up.raw.name} has {up.raw.n_functions} functions, {down.raw.name} "
            f"{down.raw.n_functions}: they are no spin-polarised pair. Give one of them alone, in "
            "a folder of its own."
        )
    lattices = [model.raw.lattice for model in models if model.raw.lattice is not None]
    if len(lattices) == 2 and abs(lattices[0] - lattices[1]).max() > 1e-3:
        raise FileFormatError(f"{up.raw.name} and {down.raw.name} have different cells.")


def _crystal(
    bundle: Bundle, models: list[Model], options: ReadOptions, record: ReadRecord
) -> tuple[NDArray[np.float64], Structure | None, str]:
    """Lattice rows (Å), atoms, and where they come from."""
    lattice = next((m.raw.lattice for m in models if m.raw.lattice is not None), None)
    wins = [model.win for model in models if model.win is not None]
    found: tuple[Structure, Member] | None = None
    if options.structure is not None:
        atoms, source = options.structure, "the given structure"
    elif structures := [win.structure for win in wins if win.structure is not None]:
        atoms, source = structures[0], f"{models[0].seed}.win"
    elif found := find_structure(bundle, tuple(model.seed for model in models)):
        record.add(found[1])
        atoms, source = found[0], found[1].basename
    else:
        if lattice is None:
            lattice = next((win.lattice for win in wins if win.lattice is not None), None)
        if lattice is None:
            raise FileFormatError(
                f"{models[0].raw.name} tells no cell. Put {models[0].seed}.win (unit_cell_cart and "
                f"atoms) or a structure beside it ({models[0].seed}.cif, POSCAR), or give "
                "--structure; a _tb.dat holds the cell itself."
            )
        return lattice, None, "the functions' centres"
    if lattice is None:
        return np.array(atoms.lattice.matrix), atoms, source
    worst = float(abs(lattice - atoms.lattice.matrix).max())
    if worst > 1e-3:
        raise FileFormatError(
            f"The cell of {source} differs from that of {models[0].raw.name} by up to {worst:.3f} "
            "Å; both must have the same vectors in the same orientation."
        )
    moved = Structure(
        Lattice(lattice),
        atoms.species,
        atoms.frac_coords,
        site_properties=atoms.site_properties,
    )
    return lattice, moved, source


def _spatial_centres(
    models: list[Model], spatial: list[NDArray[np.int64]], lattice: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | None, float]:
    """Centres of the spatial functions, the mean over spins, and how far spins lie apart (Å)."""
    of_spin = []
    for functions, model in zip(spatial, models * 2, strict=False):
        if model.centres is None:
            return None, 0.0
        of_spin.append(model.centres[functions])
    if len(of_spin) == 1:
        return of_spin[0], 0.0
    offset = nearest_image(lattice, of_spin[1] - of_spin[0])
    return of_spin[0] + offset / 2, float(np.linalg.norm(offset, axis=1).max())


def _spatial_projections(model: Model, spatial: list[NDArray[np.int64]]) -> list[Projection] | None:
    """Projections of the spatial functions, if both spins have the same."""
    listed = model.win.projections if model.win is not None else None
    if listed is None or len(listed) != model.raw.n_functions:
        return None
    chosen = [listed[k] for k in spatial[0]]
    if len(chosen) == len(listed) or _alike(chosen, [listed[k] for k in spatial[1]]):
        return chosen
    # listed up and down in turn, of functions that stand all up, then all down
    return list(listed[::2]) if _alike(listed[::2], listed[1::2]) else None


def _alike(first: Sequence[Projection], second: Sequence[Projection]) -> bool:
    """Whether both list the same orbitals, spin aside."""
    return [(p.l, p.mr, p.group) for p in first] == [(p.l, p.mr, p.group) for p in second]


# --- matrices -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Assembled:
    pairs: Pairs
    parts: SpinParts
    position: Centred


def _assembled(
    models: list[Model],
    spatial: list[NDArray[np.int64]],
    layout: Layout,
    lattice: NDArray[np.float64],
) -> _Assembled:
    """Pairs, spin parts and position elements."""
    basis = layout.basis
    of_spin = [model for model, _ in zip(models * 2, spatial, strict=False)]
    places = [
        _placement(model, functions, layout, lattice)
        for model, functions in zip(of_spin, spatial, strict=True)
    ]
    same = [
        shares(model.raw, model.images, place, place)
        for model, place in zip(of_spin, places, strict=True)
    ]
    crossed: list[SpinBlock] = []
    if len(models) == 1 and len(spatial) == 2:
        raw, images = models[0].raw, models[0].images
        crossed = [
            shares(raw, images, places[0], places[1]),
            shares(raw, images, places[1], places[0]),
        ]
    pairs = common_pairs([*same, *crossed], basis)
    parts = _spin_parts(of_spin, same, crossed, pairs, basis)
    known = [model.raw.position is not None for model in of_spin]
    if all(known):
        position = centred_position(of_spin, same, crossed, places, pairs, layout, lattice)
    else:
        position = position_of_centres(of_spin, places, pairs, layout, lattice)
    return _Assembled(pairs, parts, position)


def _placement(
    model: Model, functions: NDArray[np.int64], layout: Layout, lattice: NDArray[np.float64]
) -> Placement:
    n = model.raw.n_functions
    orbital = np.full(n, -1, dtype=np.int64)
    orbital[functions] = layout.orbital
    shift = np.zeros((n, 3), dtype=np.int64)
    if model.centres is not None:
        site = layout.basis.orbital_site[layout.orbital]
        offset = model.centres[functions] - layout.structure.cart_coords[site]
        away = offset - nearest_image(lattice, offset)
        cells = np.round(np.linalg.solve(lattice.T, away.T).T)
        if not (abs(cells) < MAX_R).all():
            raise FileFormatError(
                f"{model.raw.name}: a Wannier centre lies {abs(offset).max():.3g} Å from its atom."
            )
        shift[functions] = cells.astype(np.int64)
    return Placement(orbital, shift)


def _spin_parts(
    of_spin: list[Model],
    same: list[SpinBlock],
    crossed: list[SpinBlock],
    pairs: Pairs,
    basis: Basis,
) -> SpinParts:
    negligible = _ROUNDING["hr" if of_spin[0].raw.lattice is None else "tb"]
    limits = {"negligible": negligible, "tolerance": _TOLERANCE}
    flat = [
        block.flat(model.raw.hamiltonian, pairs, basis)
        for model, block in zip(of_spin, same, strict=True)
    ]
    if not crossed:
        return collinear_parts(pairs, basis, flat[0], flat[1] if len(flat) == 2 else None, **limits)
    mixed, back = (block.flat(of_spin[0].raw.hamiltonian, pairs, basis) for block in crossed)
    real, imaginary, defect = mixed_mean(pairs, mixed, back, _TOLERANCE)
    parts = spinor_parts(
        pairs,
        basis,
        (flat[0].real, flat[1].real, real),
        (flat[0].imag, flat[1].imag, imaginary),
        **limits,
        defect=defect,
    )
    return _without_noise(parts)


def _without_noise(parts: SpinParts) -> SpinParts:
    """Without exchange and A if neither is more than :data:`_TIME_ODD_NOISE`."""
    odd = [part for part in (parts.exchange, parts.time_odd) if part is not None]
    largest = max((float(abs(part).max()) for part in odd), default=0.0)
    if largest > _TIME_ODD_NOISE:
        return parts
    return replace(parts, exchange=None, time_odd=None, dropped=max(parts.dropped, largest))


# --- words ----------------------------------------------------------------------------------


def _title(models: list[Model], spins: SpinLayout | None) -> str:
    kind = "collinear" if spins is None else "without spin" if spins.down is None else "spinors"
    count = models[0].raw.n_functions
    each = " per spin" if spins is None else ""
    return f"Wannier90, {count} functions{each}, {kind}"


def _images_missed(models: list[Model]) -> str | None:
    """A sentence on a missing ``_wsvec.dat``, if the program that wrote one may have run.

    Other programs' files need none; Wannier90's begin with "written on", or have degenerate R.
    """
    for model in models:
        raw = model.raw
        comment = raw.comment.strip().lower()
        off = model.win is not None and model.win.keywords.get("use_ws_distance", "").strip(
            "."
        ).lower().startswith("f")
        theirs = comment.startswith("written on") or bool((raw.degeneracies > 1).any())
        if theirs and len(raw.cells) > 1 and not model.has_ws_distance and not off:
            return (
                f"There is no {model.seed}_wsvec.dat beside {raw.name}. If Wannier90 ran with "
                "use_ws_distance (its default), bands between the k-points of its mesh may be "
                "wrong by up to an eV: put the file beside it. (use_ws_distance = .false. in "
                f"{model.seed}.win says that there is none.)"
            )
    return None


def _settings(
    models: list[Model], spins: SpinLayout | None, layout: Layout, atoms_from: str
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "comment": models[0].raw.comment,
        "use_ws_distance": all(model.has_ws_distance for model in models),
        "atoms_from": atoms_from,
        "shells_from": layout.shells_from or "nothing: one shell per function",
        # function k of the list (of the functions of spin up) is this orbital
        "orbital_of_function": layout.orbital.tolist(),
    }
    if layout.left_out:
        found["atoms_without_functions"] = list(layout.left_out)
    if not found["use_ws_distance"]:
        found["without_wsvec"] = (
            "no _wsvec.dat beside the file: elements count at R itself, as with "
            "use_ws_distance = .false."
        )
    if spins is not None and spins.order is not None:
        found["spin_order"] = spins.order
        found["spin_order_told_by"] = spins.told_by
    if models[0].centres_from:
        found["centres_from"] = models[0].centres_from
    return found
