"""What a person or a script is told about a structure or a Hamiltonian."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hamexplorer.errors import SettingsError

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.properties.anisotropy import AnisotropyConstants, AnisotropyEnergy
    from hamexplorer.properties.bands import BandStructure

__all__ = [
    "bands_data",
    "bands_table",
    "hamiltonian_data",
    "hamiltonian_table",
    "mae_data",
    "mae_table",
    "origin",
    "show",
    "structure_data",
    "structure_table",
]


def show(table: Table) -> None:
    """Print a table on stdout; as wide as it needs where stdout is no terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def structure_data(structure: Structure) -> dict[str, Any]:
    """Formula, sites, cell, symmetry, and the slab's geometry if it is one."""
    from hamexplorer.structures.symmetry import symmetry_info

    return {
        "formula": structure.composition.reduced_formula,
        "n_sites": len(structure),
        "elements": sorted({site.specie.symbol for site in structure}),
        "moments_mu_b": structure.site_properties.get("magmom"),
        "symmetry": asdict(symmetry_info(structure)),
    }


def structure_table(structure: Structure) -> Table:
    """The same for people."""
    data = structure_data(structure)
    cell = data["symmetry"]
    rows = [
        ("formula", f"{data['formula']}, {data['n_sites']} atoms"),
        ("a, b, c", f"{cell['a']:.4f}, {cell['b']:.4f}, {cell['c']:.4f} Å"),
        ("α, β, γ", f"{cell['alpha']:.2f}, {cell['beta']:.2f}, {cell['gamma']:.2f}°"),
        ("space group", f"{cell['spacegroup_symbol']} ({cell['spacegroup_number']})"),
    ]
    slab = cell["slab"]
    if slab is None:
        rows.append(("periodic", "in three dimensions"))
    else:
        rows += [
            ("layer group", f"{cell['layer_group']} ({cell['layer_group_number']})"),
            (
                "periodic",
                f"in the plane; {slab['thickness_angstrom']:.2f} Å thick, "
                f"{slab['vacuum_angstrom']:.2f} Å vacuum along {'abc'[slab['axis']]}",
            ),
        ]
    if data["moments_mu_b"] is not None:
        rows.append(("moments", ", ".join(str(m) for m in data["moments_mu_b"]) + " µB"))
    return _table(rows)


def hamiltonian_data(h: Hamiltonian) -> dict[str, Any]:
    """Size, components and the whole provenance."""
    provenance = h.provenance
    return {
        "formula": h.structure.composition.reduced_formula,
        "n_sites": h.basis.n_sites,
        "n_orbitals": h.basis.n_orbitals,
        "n_pairs": h.pairs.n_pairs,
        "range_angstrom": float(h.distances.max()),
        "n_electrons": h.n_electrons,
        "components": list(h.components),
        "largest_element": {name: float(abs(h.component(name)).max()) for name in h.components},
        "source": provenance.source,
        "title": provenance.title,
        "settings": dict(provenance.settings),
        "results": dict(provenance.results),
        "timings": dict(provenance.timings),
        "warnings": list(provenance.warnings),
        "citations": list(provenance.citations),
        "versions": dict(provenance.versions),
        "structure_hash": provenance.structure_hash,
        "created": provenance.created,
    }


def hamiltonian_table(h: Hamiltonian) -> Table:
    """The same for people."""
    data = hamiltonian_data(h)
    rows = [
        ("formula", f"{data['formula']}, {data['n_sites']} atoms"),
        ("orbitals", f"{data['n_orbitals']} (spinors {2 * data['n_orbitals']})"),
        ("blocks", f"{data['n_pairs']} pairs to {data['range_angstrom']:.1f} Å"),
        ("components", ", ".join("A (time-odd)" if c == "A" else c for c in data["components"])),
        ("largest element", ", ".join(_largest(c, x) for c, x in data["largest_element"].items())),
        ("electrons", f"{data['n_electrons']:g}"),
        ("source", data["title"]),
        ("created", data["created"]),
    ]
    rows += [
        (_RESULTS.get(key, key.replace("_", " ")), _short(value))
        for key, value in data["results"].items()
        if not isinstance(value, list | tuple | dict)
    ]
    files = data["settings"].get("files")
    if isinstance(files, dict):
        rows += [(f"SHA-256 of {name}", f"{str(sha)[:16]}…") for name, sha in files.items()]
    if data["timings"]:
        rows.append(("seconds", ", ".join(f"{k} {v:.1f}" for k, v in data["timings"].items())))
    rows += [("warning", text) for text in data["warnings"]]
    return _table(rows)


_RESULTS = {
    "fermi_energy_eV": "Fermi energy, eV",
    "hermiticity_defect_eV": "hermiticity broken by up to, eV",
    "dropped_below_eV": "left out components up to, eV",
    "n_electrons_from": "electrons according to",
}
"""Results of foreign files, as a person reads them."""


def _largest(component: str, value: float) -> str:
    return f"{component} {value:.3g}" + ("" if component == "S" else " eV")


def bands_data(h: Hamiltonian, bands: BandStructure) -> dict[str, Any]:
    """Fermi level, gap along the path, and splittings (meV) at its named points."""
    from hamexplorer.properties.gap import gap, splittings

    fermi = bands.fermi
    has_edges = fermi.vbm is not None and fermi.cbm is not None  # neither in a metal
    found_gap = asdict(gap(bands)) if has_edges else None
    try:
        found_splittings = [] if h.is_magnetic else [asdict(p) for p in splittings(bands).points]
    except SettingsError:  # an odd number of electrons: there are no spin pairs at the gap
        found_splittings = []
    return {
        "formula": bands.title,
        "title": h.provenance.title,
        "n_kpoints": bands.energies.shape[0],
        "n_bands": bands.energies.shape[1],
        "n_electrons": bands.n_electrons,
        "spin_state": asdict(bands.state),
        "fermi_eV": fermi.energy,
        "is_metal": fermi.is_metal,
        "path": [[index, label] for index, label in bands.path.ticks],
        "method": bands.method,
        "gap_on_path": found_gap,
        "splittings_meV": found_splittings,
    }


def bands_table(data: Mapping[str, Any]) -> Table:
    """The same for people."""
    rows = [
        ("bands", f"{data['n_bands']} at {data['n_kpoints']} k-points of {data['formula']}"),
        ("source", data["title"]),
        ("Fermi level", f"{data['fermi_eV']:.4f} eV"),
    ]
    if data["method"]:
        rows.append(("method", data["method"]))
    gap = data["gap_on_path"]
    if gap is None:
        empty = "no occupied states" if data["n_electrons"] < 0.5 else "all states are occupied"
        rows.append(("gap", "none: a metal" if data["is_metal"] else f"none: {empty}"))
    else:
        kind = "direct" if gap["is_direct"] else "indirect"
        edges = " → ".join(_place(gap, edge) for edge in ("vbm", "cbm"))
        rows.append(("gap on path", f"{gap['value']:.4f} eV, {kind}, {edges}"))
    # levels of a large cell are folded, or of several layers: the pair need not be one of spins
    name = "two levels nearest the gap at" if data["method"] else "splitting at"
    apart = " apart" if data["method"] else ""
    rows += [
        (
            f"{name} {point['label']}",
            f"valence {point['valence']:.1f} meV{apart}, "
            f"conduction {point['conduction']:.1f} meV{apart}",
        )
        for point in data["splittings_meV"]
    ]
    return _table(rows)


def origin(h: Hamiltonian) -> dict[str, Any]:
    """Where a Hamiltonian came from, in short."""
    return {
        "source": h.provenance.source,
        "title": h.provenance.title,
        "settings": dict(h.provenance.settings),
        "structure_hash": h.provenance.structure_hash,
        "versions": dict(h.provenance.versions),
    }


def mae_data(
    h: Hamiltonian, result: AnisotropyEnergy, constants: AnisotropyConstants | None
) -> dict[str, Any]:
    """Anisotropy, energies, constants, settings and where the Hamiltonian came from."""
    several = len(result.directions) > 1
    mae = result.mae_meV if several else None
    units = result.units(mae) if mae is not None else {}
    fitted = None
    if constants is not None:
        fitted = {
            "form": constants.form,
            "constants_meV": dict(zip(constants.names, constants.values.tolist(), strict=True)),
            "errors_meV": dict(zip(constants.names, constants.errors.tolist(), strict=True)),
            "terms": dict(zip(constants.names, constants.terms, strict=True)),
            "undetermined": constants.undetermined,
            "residual_meV": constants.residual_meV,
            "easy": constants.easy,
            "easy_axis": constants.easy_axis,
            "crystal_axes": constants.frame,
        }
    return {
        "formula": result.title,
        "mae_meV": mae,
        "mae_meV_per_atom": units.get("meV_per_atom"),
        "mae_ueV_per_atom": units.get("ueV_per_atom"),
        "mae_MJ_per_m3": units.get("MJ_per_m3"),
        "theta_deg": result.directions.theta,
        "phi_deg": result.directions.phi,
        "energies_eV": result.energies,
        "relative_meV": result.relative_meV,
        "reversal_meV": result.reversal_meV,
        "fermi_eV": result.fermi,
        "fit": fitted,
        "settings": {
            "kmesh": result.mesh,
            "smearing_eV": result.smearing,
            "soc": result.state.soc,
            "exchange": result.state.exchange,
            "collinear": result.collinear,
            "method": result.method,
            "window_eV": result.window,
            "window_error_meV": result.window_error,
            "n_electrons": result.n_electrons,
            "n_kpoints_computed": result.n_kpoints,
            "n_symmetry_operations": result.n_operations,
        },
        "n_sites": result.n_sites,
        "volume_A3": result.volume,
        "timings_s": dict(result.timings),
        "provenance": origin(h),
    }


def mae_table(
    h: Hamiltonian, result: AnisotropyEnergy, constants: AnisotropyConstants | None
) -> Table:
    """The same for people."""
    mesh = "×".join(str(n) for n in result.mesh)
    rows = [("source", h.provenance.title)]
    if len(result.directions) > 1:
        units = result.units(result.mae_meV)
        first, last = (
            f"(θ {result.directions.theta[i]:g}°, φ {result.directions.phi[i]:g}°)" for i in (0, -1)
        )
        rows += [
            (
                "anisotropy",
                f"{result.mae_meV:.4f} meV per cell, {units['ueV_per_atom']:.1f} µeV per atom, "
                f"{units['MJ_per_m3']:.4f} MJ/m³",
            ),
            ("which is", f"E{last} − E{first}"),
        ]
    if constants is not None:
        rows += [
            (
                name,
                f"{value:.4f} meV"
                + ("" if error != error else f" ± {error:.4f}")
                + f"  ({term}, {constants.form})",
            )
            for name, value, error, term in zip(
                constants.names, constants.values, constants.errors, constants.terms, strict=True
            )
        ]
        theta, phi = constants.easy_angles
        rows.append((f"easy {constants.easy}", f"through θ {theta:.1f}°, φ {phi:.1f}°"))
    rows.append(
        (
            "computed",
            f"{result.method}, {mesh} k-points ({result.n_kpoints} by symmetry), "
            f"kT = {result.smearing:g} eV, λ = {result.state.soc:g}",
        )
    )
    reversal = result.reversal_meV
    if reversal is not None and reversal > 1e-6:
        rows.append(("E(n) − E(−n)", f"up to {reversal:.4f} meV"))
    if result.collinear:
        rows.append(("exchange", "its main component alone"))
    if result.window_error is not None:
        rows.append(("window error", f"about {result.window_error:.3f} meV"))
    return _table(rows)


def _place(gap: Mapping[str, Any], edge: str) -> str:
    return gap[f"{edge}_label"] or "(" + ", ".join(f"{x:.4g}" for x in gap[f"{edge}_k"]) + ")"


def _short(value: Any) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _table(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    return table
