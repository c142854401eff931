"""Formats by content: which one a file, folder or archive is of, and its reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hamexplorer.errors import (
    FileFormatError,
    HamexplorerError,
    ResourceLimitError,
    SettingsError,
)
from hamexplorer.formats import abacus, deeph, hamgnn, native, openmx, siesta, wannier90
from hamexplorer.formats.bundle import Bundle, bundle_of_path
from hamexplorer.formats.coupling_check import with_coupling_doubt
from hamexplorer.formats.options import COUNT, ReadOptions
from hamexplorer.hamiltonian import Hamiltonian

__all__ = ["FORMATS", "Format", "read_bundle", "read_hamiltonian", "recognised"]


@dataclass(frozen=True)
class Format:
    """One way in which Hamiltonians lie on disk.

    Attributes:
        name: machine name, such as ``openmx``.
        title: what a person reads.
        files: which files it needs, for messages.
        recognises: whether a bundle is of it, by content, reading no more than its files' heads.
        read: the Hamiltonian.
        options: names of the fields of :class:`ReadOptions` that mean something to it.
    """

    name: str
    title: str
    files: str
    recognises: Callable[[Bundle], bool]
    read: Callable[[Bundle, ReadOptions], Hamiltonian]
    options: frozenset[str] = COUNT


FORMATS: tuple[Format, ...] = (
    Format(
        "hamexplorer",
        "hamexplorer",
        "FILE.h5",
        native.recognises,
        native.read,
        # its reader refuses them in words of its own
        COUNT | {"structure", "spin_order", "index"},
    ),
    Format("openmx", "OpenMX", "NAME.scfout", openmx.recognises, openmx.read_scfout),
    Format(
        "hamgnn",
        "HamGNN",
        "graph_data.npz, alone or with hamiltonian.npy",
        hamgnn.recognises,
        hamgnn.read_hamgnn,
        COUNT | {"index"},
    ),
    Format(
        "deeph",
        "DeepH",
        "folder with hamiltonian.h5 or hamiltonians.h5",
        deeph.recognises,
        deeph.read,
        COUNT | {"index"},
    ),
    Format(
        "abacus",
        "ABACUS",
        "data-HR-sparse_SPIN0.csr with data-SR-sparse_SPIN0.csr and STRU",
        abacus.recognises,
        abacus.read,
        COUNT | {"index", "structure"},
    ),
    Format(
        "siesta",
        "Siesta",
        "NAME.HSX, NAME.TSHS or NAME.nc",
        siesta.recognises,
        siesta.read,
        COUNT | {"index", "structure"},
    ),
    Format(
        "wannier90",
        "Wannier90",
        "SEED_hr.dat with SEED.win, or SEED_tb.dat",
        wannier90.recognises,
        wannier90.read_wannier90,
        COUNT | {"structure", "spin_order"},
    ),
)
"""In the order in which they are asked."""


def recognised(bundle: Bundle) -> Format | None:
    """The format of ``bundle``, or None: it may be a structure file."""
    return next((f for f in FORMATS if f.recognises(bundle)), None)


def read_hamiltonian(path: str | Path, options: ReadOptions | None = None) -> Hamiltonian:
    """The Hamiltonian in a file, packed file, archive or folder of any known format.

    Raises:
        FileFormatError: no known format, or damaged.
        ResourceLimitError: larger than what is read.
        SettingsError: an option does not fit the file.
    """
    return read_bundle(bundle_of_path(path), options)


def read_bundle(bundle: Bundle, options: ReadOptions | None = None) -> Hamiltonian:
    """As :func:`read_hamiltonian`, of files that are at hand.

    Raises:
        FileFormatError, ResourceLimitError, SettingsError: as :func:`read_hamiltonian`.
    """
    found = _only_format(bundle)
    options = options or ReadOptions()
    _check_options(found, bundle, options)
    try:
        # damaged numbers may overflow; the readers' checks tell of them
        with np.errstate(over="ignore", invalid="ignore"):
            h = found.read(bundle, options)
            return h if found.read is native.read else with_coupling_doubt(h)
    except SettingsError:
        raise
    except ResourceLimitError as error:
        raise ResourceLimitError(_named(bundle, str(error))) from error
    except FileFormatError as error:
        raise FileFormatError(_named(bundle, str(error))) from error
    except HamexplorerError as error:
        raise FileFormatError(_named(bundle, str(error))) from error
    except MemoryError as error:
        raise ResourceLimitError(f"{bundle.name} needs more memory than there is.") from error
    except Exception as error:  # on damaged input the readers' libraries may raise anything
        raise FileFormatError(
            f"{bundle.name} is truncated or damaged ({type(error).__name__}: {error})."
        ) from error


def _only_format(bundle: Bundle) -> Format:
    """The format of ``bundle``.

    Raises:
        FileFormatError: there is none, or files of several lie side by side.
    """
    found = [f for f in FORMATS if f.recognises(bundle)]
    if not found:
        raise FileFormatError(_unknown(bundle))
    if len(found) == 1 or bundle.chosen is not None:
        return found[0]
    # a file that two recognise is the first one's
    examples: dict[str, str] = {}
    first = found[0]
    for member in bundle.members:
        alone = replace(bundle, chosen=member)
        owner = next((f for f in found if f.recognises(alone)), first)
        if owner.recognises(alone):
            examples.setdefault(owner.title, member.name)
    if len(examples) > 1:
        raise FileFormatError(
            f"{bundle.name} holds Hamiltonians of several formats: "
            + ", ".join(f"{title} ({name})" for title, name in examples.items())
            + ". Give one of these files."
        )
    return first


_OPTIONS = {
    "n_electrons": "number of electrons (--electrons)",
    "fermi_energy": "Fermi energy (--fermi)",
    "structure": "structure (--structure)",
    "spin_order": "spin_order (--spin-order)",
    "index": "index (--index)",
}


def _check_options(found: Format, bundle: Bundle, options: ReadOptions) -> None:
    """Refuse what would be passed over in silence."""
    if COUNT.issubset(options.given):
        raise SettingsError(
            "The number of electrons (--electrons) and the Fermi energy (--fermi) exclude each "
            "other: electrons are counted up to the Fermi energy."
        )
    idle = [name for name in options.given if name not in found.options]
    if idle:
        raise SettingsError(
            f"{bundle.name} is {found.title}'s, whose files need no {_OPTIONS[idle[0]]}; accepted "
            f"are the {' and the '.join(_OPTIONS[n] for n in _OPTIONS if n in found.options)}."
        )


def _unknown(bundle: Bundle) -> str:
    what = "holds no Hamiltonian of a known format"
    if not any(member.size for member in bundle.candidates):
        what = "is empty"
    elif bundle.where(lambda m: m.head.startswith(b"\x89HDF")):
        what = "is an HDF5 file of another program, or truncated"
    known = "; ".join(f"{f.title} ({f.files})" for f in FORMATS)
    return f"{bundle.name} {what}; read are {known}."


def _named(bundle: Bundle, message: str) -> str:
    known = (bundle.name, *(member.name for member in bundle.members))
    return message if message.startswith(known) else f"{bundle.name}: {message}"
