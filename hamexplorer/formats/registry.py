"""Formats by content: which one a file, folder or archive is of, and its reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from hamexplorer.formats.options import ReadOptions
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
    """

    name: str
    title: str
    files: str
    recognises: Callable[[Bundle], bool]
    read: Callable[[Bundle, ReadOptions], Hamiltonian]


FORMATS: tuple[Format, ...] = (
    Format("hamexplorer", "hamexplorer", "FILE.h5", native.recognises, native.read),
    Format("openmx", "OpenMX", "NAME.scfout", openmx.recognises, openmx.read_scfout),
    Format(
        "hamgnn",
        "HamGNN",
        "graph_data.npz, alone or with hamiltonian.npy",
        hamgnn.recognises,
        hamgnn.read_hamgnn,
    ),
    Format(
        "deeph",
        "DeepH",
        "folder with hamiltonian.h5 or hamiltonians.h5",
        deeph.recognises,
        deeph.read,
    ),
    Format(
        "abacus",
        "ABACUS",
        "data-HR-sparse_SPIN0.csr with data-SR-sparse_SPIN0.csr and STRU",
        abacus.recognises,
        abacus.read,
    ),
    Format("siesta", "Siesta", "NAME.HSX, NAME.TSHS or NAME.nc", siesta.recognises, siesta.read),
    Format(
        "wannier90",
        "Wannier90",
        "SEED_hr.dat with SEED.win, or SEED_tb.dat",
        wannier90.recognises,
        wannier90.read_wannier90,
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
    found = recognised(bundle)
    if found is None:
        raise FileFormatError(_unknown(bundle))
    try:
        # damaged numbers may overflow; the readers' checks tell of them
        with np.errstate(over="ignore", invalid="ignore"):
            return found.read(bundle, options or ReadOptions())
    except (ResourceLimitError, SettingsError):
        raise
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
