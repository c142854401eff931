"""What a command is given to work on: a structure, or a Hamiltonian that was saved."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from hamexplorer.errors import SettingsError, StructureError

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from hamexplorer.formats import ReadOptions
    from hamexplorer.hamiltonian import Hamiltonian

__all__ = [
    "GALLERY_PREFIX",
    "apply_moments",
    "load_hamiltonian_input",
    "load_input",
    "load_structure_input",
]

GALLERY_PREFIX = "gallery:"
_HDF5_SUFFIXES = {".h5", ".hdf5"}
_NAMED_AS_HAMILTONIAN = re.compile(
    r"(?:\.scfout|\.npy|\.npz|\.hsx|\.tshs|\.nc|\.csr|_hr\.dat|_tb\.dat)(?:\.xz|\.gz|\.bz2)?$",
    re.IGNORECASE,
)
"""Names under which no structure is kept: what is wrong with such a file is told as of a
Hamiltonian's."""
_HDF5_MAGIC = b"\x89HDF"
_ARCHIVE_MAGIC = b"PK\x03\x04"


def load_input(
    given: str, *, primitive: bool = False, options: ReadOptions | None = None
) -> Structure | Hamiltonian:
    """``given`` is a structure file, ``gallery:NAME``, or a Hamiltonian of any known format.

    A bare gallery name is understood where no file of that name is. ``options`` are facts that a
    Hamiltonian's file does not tell.

    Raises:
        StructureError: there is no such file or gallery name, or it is no crystal.
        FileFormatError: the file cannot be read.
        SettingsError: an option that does not go with what is given.
    """
    if _holds_hamiltonian(given):
        from hamexplorer.formats import ReadOptions
        from hamexplorer.sources import FileSource

        if primitive:
            raise SettingsError(
                f"--primitive changes the cell of a structure; {given} holds a Hamiltonian, "
                "whose cell is fixed."
            )
        return FileSource(Path(given), options or ReadOptions()).hamiltonian
    _refuse_options(given, options)
    return load_structure_input(given, primitive=primitive)


def load_hamiltonian_input(given: str, options: ReadOptions | None = None) -> Hamiltonian:
    """As :func:`load_input`, for what must be a Hamiltonian.

    Raises:
        SettingsError: ``given`` is a structure.
        HamexplorerError: as :func:`load_input`.
    """
    from hamexplorer.hamiltonian import Hamiltonian

    loaded = load_input(given, options=options)
    if isinstance(loaded, Hamiltonian):
        return loaded
    raise SettingsError(
        f"{given} is a structure, whose Hamiltonian is to be computed first: hamexplorer compute "
        f"{given} -o FILE.h5"
    )


def load_structure_input(given: str, *, primitive: bool = False) -> Structure:
    """As :func:`load_input`, for what must be a structure."""
    from hamexplorer.structures import gallery
    from hamexplorer.structures.load import load_structure

    if not given.startswith(GALLERY_PREFIX):
        _refuse_pipe(Path(given))
    if given.startswith(GALLERY_PREFIX):
        structure = gallery.load_gallery(given.removeprefix(GALLERY_PREFIX))
    elif not _exists(Path(given)) and given in {entry.name for entry in gallery.entries()}:
        structure = gallery.load_gallery(given)
    elif not _exists(Path(given)):
        raise StructureError(
            f"{given[:120]!r}: no such file, and no structure of the gallery has that name."
        )
    elif _begins_with(Path(given), _HDF5_MAGIC):
        raise StructureError(f"{given} is an HDF5 file; a structure is needed here.")
    else:
        return load_structure(Path(given), primitive=primitive)
    return load_structure(structure, primitive=True) if primitive else structure


def apply_moments(structure: Structure, text: str) -> Structure:
    """The structure with starting moments in µB from ``Fe=3,Pt=0.4`` or ``Fe1=3,Fe2=-3``.

    A name is an element, or an element and its running number in the structure; sites that are
    not named keep their moment, or have none.

    Raises:
        SettingsError: an entry is not NAME=NUMBER, or names nothing in the structure.
    """
    from hamexplorer.hamiltonian import Basis, Shell

    symbols = [site.specie.symbol for site in structure]
    labels = Basis.from_elements(symbols, {s: (Shell("1s", 0),) for s in symbols}).site_labels
    moments = list(structure.site_properties.get("magmom") or [0.0] * len(structure))
    for entry in text.split(","):
        name, _, value = (part.strip() for part in entry.partition("="))
        try:
            moment = float(value)
        except ValueError:
            raise SettingsError(
                f"--magmom: {entry.strip()!r} is not NAME=NUMBER such as Fe=3 or Fe1=-3 (µB)."
            ) from None
        sites = [i for i in range(len(symbols)) if name in (symbols[i], labels[i])]
        if not sites:
            raise SettingsError(
                f"--magmom: there is no {name!r} in {structure.composition.reduced_formula}; its "
                f"sites are {', '.join(labels[:20])}{' …' if len(labels) > 20 else ''}."
            )
        if not abs(moment) <= 20:
            raise SettingsError(f"--magmom: {moment} µB for {name}; accepted are −20 … 20.")
        for site in sites:
            moments[site] = moment
    result = structure.copy()
    result.add_site_property("magmom", moments)
    return result


def _holds_hamiltonian(given: str) -> bool:
    """Whether a known format is found, or what is there can be no structure's file."""
    path = Path(given)
    if given.startswith(GALLERY_PREFIX):
        return False
    _refuse_pipe(path)
    if path.suffix.lower() in _HDF5_SUFFIXES:
        return True
    if not _exists(path):
        return False
    from hamexplorer.formats import bundle_of_path, recognised

    return (
        path.is_dir()
        or _NAMED_AS_HAMILTONIAN.search(path.name) is not None
        or _begins_with(path, _HDF5_MAGIC, _ARCHIVE_MAGIC)
        or recognised(bundle_of_path(path)) is not None
    )


def _refuse_options(given: str, options: ReadOptions | None) -> None:
    from hamexplorer.formats import ReadOptions

    if options is not None and options != ReadOptions():
        raise SettingsError(
            f"{given} is a structure; --electrons, --fermi, --structure, --spin-order and --index "
            "go with a Hamiltonian that another program computed."
        )


def _refuse_pipe(path: Path) -> None:
    """Complain of a pipe or device, whose reading would wait for its writer."""
    if _exists(path) and not path.is_file() and not path.is_dir():
        raise StructureError(
            f"{path} is neither a file nor a folder but a pipe or device, which is not read."
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


def _begins_with(path: Path, *magic: bytes) -> bool:
    try:
        if not path.is_file():  # opening a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return file.read(8).startswith(magic)
    except (OSError, ValueError):
        return False
