"""A structure from whatever a person has at hand: a path, a text, an upload, an object."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

from ase import Atoms
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import (
    FileFormatError,
    HamexplorerError,
    ResourceLimitError,
    StructureError,
)
from hamexplorer.structures.checks import check_structure
from hamexplorer.structures.detect import ACCEPTED, detect_format
from hamexplorer.structures.moments import plain_moments
from hamexplorer.structures.readers import READERS, from_ase
from hamexplorer.structures.symmetry import standard_primitive

__all__ = ["MAX_BYTES", "MAX_SITES", "load_structure", "safe_filename"]

MAX_BYTES = 20_000_000
"""Largest structure file that is read."""
MAX_SITES = 20_000
"""Largest cell that is handed on; engines have far smaller limits of their own."""

_MAGIC = (
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"- of Ulm", "an ASE binary file, which is not read"),
)


def load_structure(
    source: str | os.PathLike[str] | bytes | Structure | Atoms,
    *,
    filename: str | None = None,
    primitive: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Structure:
    """The crystal that ``source`` describes, checked, in the user's own cell.

    ``source`` is a path, the text of a file (a ``str`` with a line break, or JSON), its bytes, a
    pymatgen ``Structure`` or an ASE ``Atoms``. ``filename`` names texts and bytes in messages and
    helps to tell the format where the content does not; a path in it is cut to its last part.
    With ``primitive`` the standard primitive cell is returned (slabs keep their vacuum, as c).

    The result holds elements without oxidation states, positions as given (not wrapped) and, if
    the source has any, moments in µB as ``site_properties["magmom"]``: numbers if all lie along
    one line (its largest component counted positive), else Cartesian vectors.

    Raises :class:`StructureError` for what is no computable crystal (no such file, no lattice,
    partial occupancy, duplicate atoms, unknown species, several structures),
    :class:`FileFormatError` for what cannot be read, :class:`ResourceLimitError` for files above
    ``max_bytes`` and cells above ``MAX_SITES``.
    """
    name = "structure" if filename is None else safe_filename(filename)
    if isinstance(source, Structure):
        structure = source
        name = name if filename else source.composition.reduced_formula or name
    elif isinstance(source, Atoms):
        structure = _guarded(lambda: from_ase(source, name), name)
    else:
        text, name = _text(source, name, filename is not None, max_bytes)
        reader = READERS[detect_format(text, name)]
        structure = _guarded(lambda: reader(text, name), name)
    if len(structure) > MAX_SITES:
        raise ResourceLimitError(f"{name}: {len(structure)} atoms; at most {MAX_SITES} are loaded.")
    check_structure(structure, name)
    structure = _plain(structure, name)
    return standard_primitive(structure) if primitive else structure


def safe_filename(filename: str) -> str:
    """The last part of an upload's file name.

    Raises :class:`StructureError` for a name that climbs (``..``), is absolute, or holds control
    characters: no honest browser sends one.
    """
    parts = re.split(r"[/\\]", filename)
    climbs = ".." in parts or parts[0] == "" or re.match(r"^[A-Za-z]:", filename) is not None
    base = parts[-1].strip()
    if climbs or not base or base == "." or len(base) > 255 or not base.isprintable():
        raise StructureError(
            f"file name {filename[:80]!r} is refused; a plain name such as 'MoS2.cif' is accepted."
        )
    return base


def _text(source: Any, name: str, named: bool, max_bytes: int) -> tuple[str, str]:
    if isinstance(source, str) and _is_text(source):
        # Characters are at most as many as bytes: the cheap test goes first.
        too_long = len(source) > max_bytes
        size = len(source) if too_long else len(source.encode("utf-8", "replace"))
        _check_bytes(size, max_bytes, name)
        return _printable(source, name), name
    if isinstance(source, (bytes, bytearray, memoryview)):
        raw = bytes(source)
        _check_bytes(len(raw), max_bytes, name)
        return _decoded(raw, name), name
    if not isinstance(source, (str, os.PathLike)):
        raise StructureError(
            f"a {type(source).__name__} is no structure; a path, text, bytes, a pymatgen Structure "
            "or an ASE Atoms is accepted."
        )
    path = Path(source)
    name = name if named else path.name or str(path)
    raw = _file_bytes(path, name, max_bytes)
    return _decoded(raw, name), name


def _is_text(source: str) -> bool:
    """A file's content rather than its path (an empty box in a form is empty content)."""
    return "\n" in source or not source.strip() or source.lstrip().startswith("{")


def _file_bytes(path: Path, name: str, max_bytes: int) -> bytes:
    shown = str(path)[:120]
    try:
        if not path.is_file():
            what = "a folder, not a file" if path.is_dir() else "no such file"
            raise StructureError(
                f"{shown!r}: {what}; the path of a structure file is needed ({ACCEPTED}). "
                "Text of a file must have line breaks."
            )
        _check_bytes(path.stat().st_size, max_bytes, name)
        with path.open("rb") as file:
            # A file may grow, and some special files state no size.
            raw = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise StructureError(f"{shown!r} cannot be read: {error}") from error
    _check_bytes(len(raw), max_bytes, name)
    return raw


def _check_bytes(size: int, max_bytes: int, name: str) -> None:
    if size > max_bytes:
        raise ResourceLimitError(
            f"{name}: {size / 1e6:.1f} MB; structure files up to {max_bytes / 1e6:g} MB are read."
        )


def _decoded(raw: bytes, name: str) -> str:
    for magic, what in _MAGIC:
        if raw.startswith(magic):
            raise FileFormatError(f"{name}: {what}, not a structure as text. Accepted: {ACCEPTED}.")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        # Old CIFs hold an author's name in latin-1; the numbers are ASCII either way.
        encodings = ["utf-8-sig", "latin-1"]
    for encoding in encodings:
        try:
            return _printable(raw.decode(encoding), name)
        except UnicodeDecodeError:
            continue
    raise FileFormatError(f"{name}: not text. Accepted: {ACCEPTED}.")


def _printable(text: str, name: str) -> str:
    if not text.strip():
        raise FileFormatError(f"{name}: the file is empty. Accepted: {ACCEPTED}.")
    if re.search(r"[\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f]", text):
        raise FileFormatError(f"{name}: a binary file, not text. Accepted: {ACCEPTED}.")
    return text.lstrip("\ufeff")


def _guarded(read: Any, name: str) -> Structure:
    """Run a parser; whatever it raises becomes one of our errors, what it warns is dropped
    (losses are checked for by the readers).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structure: Structure = read()
    except HamexplorerError:
        raise
    except Exception as error:
        detail = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{name}: damaged or truncated, or not what it looks like "
            f"({type(error).__name__}{': ' + detail if detail else ''}). Accepted: {ACCEPTED}."
        ) from error
    return structure


def _plain(structure: Structure, name: str) -> Structure:
    """Cell, elements, positions and moments alone: labels, charges and constraints stay behind."""
    moments = plain_moments(structure, name)
    return Structure(
        Lattice(structure.lattice.matrix),
        [site.specie.symbol for site in structure],
        structure.frac_coords,
        site_properties=None if moments is None else {"magmom": moments},
    )
