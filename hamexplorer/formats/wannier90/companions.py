"""Which files of a bundle belong to one Wannier90 model, and what they tell beside its matrices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import FileFormatError, HamexplorerError
from hamexplorer.formats.bundle import Bundle, Member
from hamexplorer.formats.wannier90.matrices import RealSpace, kind_of, parse_matrices
from hamexplorer.formats.wannier90.win import WinFile, parse_win
from hamexplorer.formats.wannier90.ws_distance import Images, own_cells, parse_images
from hamexplorer.structures.load import load_structure

__all__ = [
    "Model",
    "chosen_models",
    "find_structure",
    "is_model",
    "one_spin_of_two",
    "read_model",
    "seed_of",
]

_SUFFIX = re.compile(r"_(?:hr|tb)(?=[._-]|$)", re.IGNORECASE)
_UP_DOWN = {
    "up": ("dn", "down", "dw"),
    "spinup": ("spindn", "spindown"),
    "spin1": ("spin2",),
    "alpha": ("beta",),
}
_TEXT_LIMIT = 2e8
_STRUCTURE_SUFFIXES = (".cif", ".vasp", ".poscar", ".xsf", ".json", ".xyz")
_CENTRE = re.compile(
    r"^\s*WF centre and spread\s+(\d+)\s*\(\s*([^,]+),\s*([^,]+),\s*([^)]+)\)", re.MULTILINE
)


@dataclass(frozen=True, eq=False)
class Model:
    """One file of matrices with its companions.

    Attributes:
        seed: its name without ``_hr.dat`` or ``_tb.dat``.
        raw: the matrices.
        images: where their elements count.
        has_ws_distance: whether ``images`` come from a ``_wsvec.dat``.
        win: what ``seed.win`` tells, or None.
        centres: of the functions, Cartesian, Å, (n, 3), or None.
        centres_from: where they were found, or "".
        spins: +1, −1 by function, of ``seed.nnkp``; None if it does not tell.
        members: the files that were read.
    """

    seed: str
    raw: RealSpace
    images: Images
    has_ws_distance: bool
    win: WinFile | None
    centres: NDArray[np.float64] | None
    centres_from: str
    spins: NDArray[np.int64] | None
    members: tuple[Member, ...]


def is_model(member: Member) -> bool:
    """Whether a file begins as a ``_hr.dat`` or ``_tb.dat``."""
    return kind_of(member.head) is not None


def seed_of(member: Member) -> str:
    """``wse2`` of ``wse2_hr.dat``."""
    name = member.basename
    stem = name[: -len(".dat")] if name.lower().endswith(".dat") else name
    return _SUFFIX.sub("", stem)


def chosen_models(bundle: Bundle) -> tuple[Member, ...]:
    """The one file to read, or the two of a spin-polarised pair, up first.

    Raises:
        FileFormatError: several models that are no pair.
    """
    found = _one_kind(bundle.where(is_model))
    if len(found) == 1:
        return _with_partner(found[0], bundle)
    if len(found) == 2:
        for up, down in (found, found[::-1]):
            if down.basename in _partners(up.basename):
                return (up, down)
    names = ", ".join(sorted(member.basename for member in found))
    raise FileFormatError(
        f"{bundle.name} holds several Wannier90 models: {names}. Give one of the files, or the two "
        "of a spin-polarised calculation, named alike but for up and dn (NAME.up_hr.dat, "
        "NAME.dn_hr.dat; wannier90.1_hr.dat, wannier90.2_hr.dat)."
    )


def _one_kind(found: tuple[Member, ...]) -> tuple[Member, ...]:
    """Of both files of one seed the ``_tb.dat``: it has more digits, and positions."""
    tb = {seed_of(member) for member in found if kind_of(member.head) == "tb"}
    return tuple(
        member for member in found if kind_of(member.head) == "tb" or seed_of(member) not in tb
    )


def _with_partner(member: Member, bundle: Bundle) -> tuple[Member, ...]:
    kind = kind_of(member.head)
    for other in bundle.members:
        if other is member or kind_of_name(other) != kind_of_name(member):
            continue
        if other.basename in _partners(member.basename) and kind_of(other.head) == kind:
            return (member, other)
        if member.basename in _partners(other.basename) and kind_of(other.head) == kind:
            return (other, member)
    return (member,)


def kind_of_name(member: Member) -> str:
    """``_hr`` or ``_tb`` of its name, lower case, or ""."""
    match = _SUFFIX.search(member.basename)
    return match[0].lower() if match else ""


def _partners(basename: str) -> set[str]:
    """Names of the file of spin down, given that of spin up."""
    words = re.split(r"([._-])", basename)
    found = set()
    for index, word in enumerate(words):
        for down in _UP_DOWN.get(word.lower(), ()):
            for spelled in (down, down.upper(), down.capitalize()):
                found.add("".join([*words[:index], spelled, *words[index + 1 :]]))
    if basename.lower().startswith("wannier90.1"):  # VASP's name
        found.add(basename[:10] + "2" + basename[11:])
    return found


def one_spin_of_two(member: Member) -> bool:
    """Whether a file is named as one of a spin-polarised pair."""
    words = set(re.split(r"[._-]", seed_of(member).lower()))
    downs = {word for words_of_down in _UP_DOWN.values() for word in words_of_down}
    return bool(_partners(member.basename)) or bool(words & downs)


def read_model(member: Member, bundle: Bundle) -> Model:
    """The matrices of ``member`` and what stands beside them.

    Raises:
        FileFormatError: one of the files is damaged, or of another calculation.
    """
    seed = seed_of(member)
    raw = parse_matrices(member.data(), member.name)
    members = [member]
    images = own_cells(raw)
    vectors = _companion(bundle, seed, "_wsvec.dat")
    if vectors is not None:
        images = parse_images(vectors.data(), vectors.name, raw)
        members.append(vectors)
    win = None
    win_member = _companion(bundle, seed, ".win") or _only(bundle, ".win")
    if win_member is not None:
        win = parse_win(win_member.text(_TEXT_LIMIT), win_member.name)
        members.append(win_member)
        _check_win(raw, win, win_member.name)
    centres, source, used = _centres(raw, bundle, seed)
    members += [used] if used is not None else []
    spins = None
    nnkp = _companion(bundle, seed, ".nnkp")
    if nnkp is not None and win is not None and win.spinors is not False:
        spins = _nnkp_spins(nnkp.text(_TEXT_LIMIT), raw.n_functions)
        members += [nnkp] if spins is not None else []
    return Model(
        seed, raw, images, vectors is not None, win, centres, source, spins, tuple(members)
    )


def _companion(bundle: Bundle, seed: str, ending: str) -> Member | None:
    return bundle.named(seed + ending)


def _only(bundle: Bundle, ending: str) -> Member | None:
    """The only file of its kind among files that were chosen together."""
    found = bundle.ending(ending)
    return found[0] if bundle.chosen is None and len(found) == 1 else None


def _check_win(raw: RealSpace, win: WinFile, name: str) -> None:
    words = win.keywords.get("num_wann", "").split()
    if words and words[0] != str(raw.n_functions):
        raise FileFormatError(
            f"{name} is of another calculation: num_wann = {words[0][:20]}, but {raw.name} has "
            f"{raw.n_functions} functions."
        )
    if raw.lattice is not None and win.lattice is not None:
        worst = float(abs(raw.lattice - win.lattice).max())
        if worst > 1e-3:
            raise FileFormatError(
                f"{name} is of another calculation: its cell differs from that of {raw.name} by "
                f"{worst:.3f} Å."
            )


def _centres(
    raw: RealSpace, bundle: Bundle, seed: str
) -> tuple[NDArray[np.float64] | None, str, Member | None]:
    """Wannier centres, where they were found, and the file if it is another."""
    n = raw.n_functions
    if raw.position is not None:
        home = int(np.flatnonzero(~raw.cells.any(axis=1))[0])
        centres = raw.position[:, home].diagonal(axis1=1, axis2=2).T.real
        return np.ascontiguousarray(centres / raw.degeneracies[home]), "tb", None
    for ending, parse in (("_centres.xyz", _xyz_centres), (".wout", _wout_centres)):
        member = _companion(bundle, seed, ending)
        found = parse(member.text(_TEXT_LIMIT)) if member is not None else None
        if found is not None and found.shape == (n, 3) and np.isfinite(found).all():
            return found, ending, member
    return None, "", None


def _xyz_centres(text: str) -> NDArray[np.float64] | None:
    words = [line.split() for line in text.splitlines()[2:]]
    try:
        return np.array([[float(x) for x in w[1:4]] for w in words if len(w) == 4 and w[0] == "X"])
    except ValueError:
        return None


def _wout_centres(text: str) -> NDArray[np.float64] | None:
    """Of the final state, which stands last."""
    final = text.rpartition("Final State")[2]
    try:
        rows = {int(m[1]): [float(m[a]) for a in (2, 3, 4)] for m in _CENTRE.finditer(final)}
    except ValueError:
        return None
    if sorted(rows) != list(range(1, len(rows) + 1)):
        return None
    return np.array([rows[index] for index in sorted(rows)]).reshape(-1, 3)


def _nnkp_spins(text: str, n: int) -> NDArray[np.int64] | None:
    """+1, −1 of the block spinor_projections, three lines for each."""
    block = re.search(
        r"begin spinor_projections\s*\n\s*(\d+)\s*\n(.*?)end spinor_projections", text, re.DOTALL
    )
    if block is None or int(block[1]) != n:
        return None
    lines = block[2].splitlines()[2::3]
    try:
        spins = np.array([int(line.split()[0]) for line in lines])
    except (ValueError, IndexError):
        return None
    return spins if len(spins) == n and set(spins.tolist()) <= {1, -1} else None


def find_structure(bundle: Bundle, seeds: tuple[str, ...]) -> tuple[Structure, Member] | None:
    """A structure file beside the matrices: of the seed's name, or POSCAR.

    Raises:
        FileFormatError: there is one that cannot be read.
    """
    for member in _structure_members(bundle, seeds):
        try:
            return load_structure(member.data(2e7).tobytes(), filename=member.basename), member
        except HamexplorerError as error:
            raise FileFormatError(f"{member.name} beside the matrices: {error}") from error
    return None


def _structure_members(bundle: Bundle, seeds: tuple[str, ...]) -> Iterator[Member]:
    names = [seed + suffix for seed in seeds for suffix in _STRUCTURE_SUFFIXES]
    for name in (*names, "POSCAR", "CONTCAR"):
        member = bundle.named(name)
        if member is not None:
            yield member
