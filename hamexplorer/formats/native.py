"""Our own HDF5 file among the formats."""

from __future__ import annotations

from hamexplorer.errors import SettingsError
from hamexplorer.formats.bundle import Bundle, Member
from hamexplorer.formats.options import ReadOptions
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian
from hamexplorer.hamiltonian.hdf5 import FORMAT

__all__ = ["read", "recognises"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def recognises(bundle: Bundle) -> bool:
    """Whether one of the files is HDF5 and names our format at its root."""
    return bool(bundle.where(_ours))


def _ours(member: Member) -> bool:
    # a small object header holds the attribute: it stands in the first kilobytes
    return member.head.startswith(_SIGNATURE) and FORMAT.encode() in member.head


def read(bundle: Bundle, options: ReadOptions) -> Hamiltonian:
    """The Hamiltonian of a file that hamexplorer saved.

    Raises:
        FileFormatError: damaged or of a newer version.
        SettingsError: an option is given: the file tells everything.
    """
    if options != ReadOptions():
        raise SettingsError(f"{bundle.name} is hamexplorer's own file and needs no options.")
    member = bundle.where(_ours)[0]
    with member.path() as path:
        return load_hamiltonian(path)
