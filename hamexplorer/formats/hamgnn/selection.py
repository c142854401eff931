"""Which graph and which matrix of the files at hand are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.bundle import Bundle, Member
from hamexplorer.formats.hamgnn.elements import LAYOUTS
from hamexplorer.formats.hamgnn.graph import Crystal, looks_like_graph, read_graph
from hamexplorer.formats.hamgnn.rows import (
    Rows,
    matrix_header,
    n_rows,
    read_rows,
    rows_kind,
)
from hamexplorer.formats.restricted_pickle import NpyHeader

__all__ = ["Choice", "choose", "recognises"]

_MAX_GRAPHS = 8
"""Graphs that are opened to find the one which a matrix belongs to."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What is read: one crystal and its matrix.

    Attributes:
        graph: file of the crystal.
        matrix: file of the matrix; None: the graph's own.
        crystal: the crystal asked for.
        rows: its matrix, Ha.
        n_crystals: crystals in the graph.
        warnings: sentences on what else could have been meant.
    """

    graph: Member
    matrix: Member | None
    crystal: Crystal
    rows: Rows
    n_crystals: int
    warnings: tuple[str, ...]


def recognises(bundle: Bundle) -> bool:
    """Whether one of the files is a graph of HamGNN or has rows as long as its matrices'."""
    return bool(bundle.where(_is_graph) or bundle.where(_is_matrix))


def _is_graph(member: Member) -> bool:
    return looks_like_graph(member.head)


def _is_matrix(member: Member) -> bool:
    return matrix_header(member.head) is not None


def choose(bundle: Bundle, index: int) -> Choice:
    """The graph and matrix: the file that the user chose, or of several a predicted matrix
    before a target's, each with the graph that it fits.

    Raises:
        FileFormatError: no graph, none or more than one that the matrix fits, or damage.
        SettingsError: the graph has no crystal ``index``.
        ResourceLimitError: as :func:`~.graph.read_graph`.
    """
    graphs = [m for m in bundle.members if _is_graph(m)]
    chosen = bundle.chosen
    if chosen is not None and _is_graph(chosen):
        graphs, matrices = [chosen], []
    else:
        matrices = sorted(bundle.where(_is_matrix), key=_preference)
        _check_others(bundle)
    if not graphs:
        raise FileFormatError(
            f"{matrices[0].name} holds matrices alone; put the graph_data.npz of its crystal into "
            "the same folder."
        )
    if len(graphs) > _MAX_GRAPHS:
        raise FileFormatError(
            f"{bundle.name}: {len(graphs)} files of graphs lie together; give the one meant, or a "
            "folder with the matrix and its graph."
        )
    read = [(member, read_graph(member)) for member in graphs]
    if matrices:
        return _with_matrix(matrices, read, index)
    return _alone(bundle, read, index)


def _check_others(bundle: Bundle) -> None:
    """No file that by its name is a matrix is passed over for another one.

    Raises:
        FileFormatError: it is none by its content.
    """
    for member in bundle.candidates:
        if member.basename.lower().endswith("hamiltonian.npy") and not _is_matrix(member):
            raise FileFormatError(
                f"{member.name} is damaged or not of HamGNN: it has no rows of "
                f"{', '.join(str(w**2) for w in LAYOUTS)} or four times as many floats."
            )


def _preference(member: Member) -> tuple[int, str]:
    name = member.basename.lower()
    if "prediction" in name:
        return 0, name
    if name == "hamiltonian.npy":
        return 1, name
    return (3 if "target" in name else 2), name


def _with_matrix(
    matrices: Sequence[Member], graphs: Sequence[tuple[Member, tuple[Crystal, ...]]], index: int
) -> Choice:
    matrix = matrices[0]
    header = matrix_header(matrix.head)
    assert header is not None
    fitting = [(m, crystals) for m, crystals in graphs if _fits(header, crystals)]
    if not fitting:
        raise FileFormatError(
            f"{matrix.name} has shape {header.shape}, which belongs to no graph beside it: "
            + "; ".join(f"{m.name} needs {_needed(crystals)}" for m, crystals in graphs)
            + "."
        )
    # the two graphs of a universal prediction differ in their H0 alone
    graph, crystals = next((f for f in fitting if _same_channel(header, f[1])), fitting[0])
    for other, others in fitting:
        if not all(a.same_as(b) for a, b in zip(crystals, others, strict=True)):
            raise FileFormatError(
                f"{matrix.name} could belong to {graph.name} or to {other.name}; put it into a "
                "folder with its own graph."
            )
    crystal = _crystal(graph, crystals, index)
    kind = rows_kind(header.shape, crystal.width, matrix.name)
    rows = read_rows(matrix, header, kind, [c.n_pairs for c in crystals], index)
    warnings = []
    if len(matrices) > 1:
        more = ", ".join(m.name for m in matrices[1:])
        warnings.append(f"{matrix.name} is read; give {more} by name to open that.")
    return Choice(graph, matrix, crystal, rows, len(crystals), tuple(warnings))


def _alone(
    bundle: Bundle, graphs: Sequence[tuple[Member, tuple[Crystal, ...]]], index: int
) -> Choice:
    complete = [g for g in graphs if g[1][0].own is not None]
    if not complete:
        raise FileFormatError(
            f"{graphs[0][0].name} has neither a Hamiltonian of its own (Hon, Hoff) nor a matrix "
            "beside it."
        )
    graph, crystals = next((g for g in complete if _has_spinors(g[1])), complete[0])
    crystal = _crystal(graph, crystals, index)
    if crystal.own is None:
        raise FileFormatError(f"{crystal.where} has no Hamiltonian of its own.")
    warnings = []
    if len(graphs) > 1:
        more = ", ".join(m.name for m, _ in graphs if m is not graph)
        warnings.append(f"{graph.name} is read; give {more} by name to open that.")
    beside = [m.name for m in bundle.ending(".npy") if _is_matrix(m)]
    if beside:
        warnings.append(
            f"The graph's own matrix is read, not {', '.join(beside)} beside it; give that file "
            "to open it."
        )
    return Choice(graph, None, crystal, crystal.own, len(crystals), tuple(warnings))


def _crystal(graph: Member, crystals: tuple[Crystal, ...], index: int) -> Crystal:
    if index >= len(crystals):
        raise SettingsError(f"{graph.name} has no crystal {index}; it has 0 … {len(crystals) - 1}.")
    return crystals[index]


def _fits(header: NpyHeader, crystals: tuple[Crystal, ...]) -> bool:
    try:
        kind = rows_kind(header.shape, crystals[0].width, "")
    except FileFormatError:
        return False
    return header.shape[0] == sum(n_rows(kind, crystal.n_pairs) for crystal in crystals)


def _needed(crystals: tuple[Crystal, ...]) -> str:
    n, square = sum(crystal.n_pairs for crystal in crystals), crystals[0].width ** 2
    return f"({n}, {square}), ({n}, 2, {square}) or, with spin–orbit, ({2 * n}, {4 * square})"


def _has_spinors(crystals: tuple[Crystal, ...]) -> bool:
    return crystals[0].own is not None and crystals[0].own.imaginary is not None


def _same_channel(header: NpyHeader, crystals: tuple[Crystal, ...]) -> bool:
    own = crystals[0].own
    return own is not None and own.real.shape[1:] == header.shape[1:]
