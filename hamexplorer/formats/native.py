"""Our own HDF5 file among the formats."""

from __future__ import annotations

from pathlib import Path

from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.files import checked_output, written
from hamexplorer.formats.bundle import Bundle, Member
from hamexplorer.formats.electrons import can_recount, recount
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.writing import WriteOptions, WriteReport
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian, save_hamiltonian
from hamexplorer.hamiltonian.hdf5 import FORMAT

__all__ = ["read", "recognises", "write"]

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
        SettingsError: an option is given, though the file tells everything; only where its number
            of electrons was counted or assumed may another be given.
    """
    member = bundle.one(_ours)
    with member.path() as path:
        try:
            h = load_hamiltonian(path)
        except HamexplorerError as error:
            raise type(error)(str(error).replace(path.name, member.name)) from error
    if options == ReadOptions():
        return h
    count = ReadOptions(options.n_electrons, options.fermi_energy)
    if options != count or not can_recount(h):
        raise SettingsError(f"{bundle.name} is hamexplorer's own file and needs no options.")
    return recount(h, count)


def write(h: Hamiltonian, target: Path, options: WriteOptions) -> WriteReport:  # noqa: ARG001
    """All of ``h``; the dial of ``options`` is not turned, for it stays one.

    Raises:
        SettingsError: the suffix is not .h5 or .hdf5, or the directory does not exist.
        HamexplorerError: it cannot be written.
    """
    with written(checked_output(target, (".h5", ".hdf5"))) as temporary:
        save_hamiltonian(h, temporary)
    return WriteReport((target,))
