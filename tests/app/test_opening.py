"""What a visitor gives, and what the page has afterwards: always something whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_jobs import eventually
from toy import RefusingSource, ToySource, toy_hamiltonian

from hamexplorer.app.choosing import Engines
from hamexplorer.app.opening import STORED_DIGITS, Opener
from hamexplorer.app.state import AppState
from hamexplorer.assets_path import asset
from hamexplorer.dft.settings import DftSettings
from hamexplorer.hamiltonian import save_hamiltonian
from hamexplorer.sources import HamiltonianCache
from hamexplorer.structures import load_gallery

SI = asset("gallery/si.cif").read_bytes()


def opener(tmp_path: Path, **options: Any) -> tuple[AppState, Opener]:
    state = AppState()
    cache = HamiltonianCache(tmp_path / "cache")
    return state, Opener(state, lambda f: f(), cache=cache, engines=engines(**options))


def engines(**options: Any) -> Engines:
    """DFT with ToySource's ``options``, beside which no atoms are superposed."""
    return Engines(lambda s: ToySource(s, **options), lambda _: RefusingSource())


def settled(state: AppState) -> None:
    eventually(lambda: state.job is None)


def told(state: AppState) -> None:
    """The job ended with a notice, which comes right after its end."""
    eventually(lambda: state.job is None and bool(state.notices))


def with_silicon(tmp_path: Path, **options: Any) -> tuple[AppState, Opener]:
    state, opens = opener(tmp_path, **options)
    opens.upload({"Si.cif": SI})
    settled(state)
    assert state.hamiltonian is not None
    return state, opens


def test_an_uploaded_cif_is_computed_and_can_be_linked(tmp_path: Path) -> None:
    state, _ = with_silicon(tmp_path)
    assert state.subject is not None
    assert state.subject.title == "Si"
    key = state.subject.stored
    assert len(key) == STORED_DIGITS
    again, other = opener(tmp_path)
    other.stored(key)
    settled(again)
    assert again.hamiltonian is not None
    assert again.hamiltonian.structure == state.subject.structure


def test_an_uploaded_hamiltonian_is_shown_and_can_be_linked(tmp_path: Path) -> None:
    file = tmp_path / "mine.h5"
    save_hamiltonian(toy_hamiltonian(load_gallery("gaas")), file)
    state, opens = opener(tmp_path)
    opens.upload({"mine.h5": file.read_bytes()})
    settled(state)
    assert state.subject is not None
    assert state.hamiltonian is not None
    assert state.hamiltonian.n_electrons == 4
    again, other = opener(tmp_path)
    other.stored(state.subject.stored)
    settled(again)
    assert again.hamiltonian is not None


CIF = SI.decode()
BAD = {
    "empty": ("a.cif", b"", "empty"),
    "binary": ("a.cif", bytes(range(256)) * 40, "binary"),
    "truncated": ("a.cif", CIF[: len(CIF) // 3].encode(), "a.cif"),
    "europium": ("a.cif", CIF.replace("Si", "Eu").encode(), "Eu"),
    "uranium": ("a.cif", CIF.replace("Si", "U").encode(), "U"),
    "path": ("../../etc/passwd", SI, "refused"),
    "other HDF5": ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(200), "a.h5"),
    "large": ("a.xyz", b"x\n" * 11_000_000, "20 MB"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_said_and_the_old_view_stays(tmp_path: Path, name: str) -> None:
    state, opens = with_silicon(tmp_path)
    before = state.subject
    filename, data, message = BAD[name]
    opens.upload({filename: data})
    settled(state)
    assert [notice.severity for notice in state.notices] == ["error"]
    assert message in state.notices[0].text
    assert state.subject is before


def test_pasted_text_never_opens_a_file(tmp_path: Path) -> None:
    state, opens = with_silicon(tmp_path)
    opens.text(str(asset("gallery/gaas.cif")))
    told(state)
    assert state.notices[0].severity == "error"
    opens.text(asset("gallery/gaas.cif").read_text())
    settled(state)
    assert state.subject is not None
    assert state.subject.title == "GaAs"


def test_a_failed_calculation_brings_the_old_view_back(tmp_path: Path) -> None:
    state, _ = with_silicon(tmp_path)
    before = state.subject
    failing = Opener(
        state,
        lambda f: f(),
        cache=HamiltonianCache(tmp_path / "other"),
        engines=engines(fails=True),
    )
    failing.gallery("gaas")
    told(state)
    assert "did not converge" in state.notices[0].text
    assert state.subject is before


def test_cancel_brings_the_old_view_back(tmp_path: Path) -> None:
    state, _ = with_silicon(tmp_path)
    before = state.subject
    slow = Opener(
        state,
        lambda f: f(),
        cache=HamiltonianCache(tmp_path / "other"),
        engines=engines(seconds=30),
    )
    slow.gallery("gaas")
    eventually(
        lambda: (
            state.job is not None
            and state.job.event is not None
            and state.job.event.iteration is not None
        )
    )
    assert state.subject is not None
    assert state.subject.title == "GaAs"
    assert state.hamiltonian is None
    slow.cancel()
    settled(state)
    assert state.subject is before
    assert "cancelled" in state.notices[0].text


def test_errors_do_not_pile_up(tmp_path: Path) -> None:
    state, opens = with_silicon(tmp_path)
    opens.upload({"one.cif": b""})
    settled(state)
    opens.upload({"two.cif": b""})
    told(state)
    assert len(state.notices) == 1
    assert "two.cif" in state.notices[0].text
    state.tell("warning", "of the address")
    opens.gallery("gaas")
    settled(state)
    assert [notice.text for notice in state.notices] == ["of the address"]
    for n in range(5):
        state.tell("error", f"{n}")
    assert [notice.text for notice in state.notices] == ["2", "3", "4"]


def test_a_job_begins_on_the_same_way_as_it_ends(tmp_path: Path) -> None:
    """Else the page may be told of a quick failure first, and of its beginning afterwards."""
    state, posted = AppState(), list[Callable[[], None]]()
    opens = Opener(state, posted.append, cache=HamiltonianCache(tmp_path), engines=engines())
    opens.upload({"one.cif": b""})
    assert state.job is None
    jobs = []
    state.param.watch(lambda event: jobs.append(event.new is not None), "job")
    eventually(lambda: bool(posted) and (posted.pop(0)(), jobs[-1:] == [False])[1])
    assert jobs[0]
    assert "one.cif" in state.notices[0].text


def test_the_last_crystal_wins(tmp_path: Path) -> None:
    state, opens = opener(tmp_path, seconds=0.5)
    for name in ("gaas", "insb", "si"):
        opens.gallery(name)
    settled(state)
    assert state.subject is not None
    assert state.subject.gallery == "si"
    assert state.notices == []


def test_a_long_calculation_waits_for_a_word(tmp_path: Path) -> None:
    state, opens = opener(tmp_path, estimated=4000)
    opens.gallery("gaas")
    eventually(lambda: state.job is not None and state.job.waiting)
    assert state.job is not None
    assert "4000 s" in state.job.description
    assert state.subject is not None
    assert state.hamiltonian is None
    opens.start()
    settled(state)
    assert state.hamiltonian is not None


def test_other_settings_are_linked_by_their_result(tmp_path: Path) -> None:
    state, opens = opener(tmp_path)
    opens.gallery("gaas")
    settled(state)
    assert state.subject is not None
    assert state.subject.gallery == "gaas"
    first = state.subject.stored
    state.settings = DftSettings(basis="uzh-dzvp")
    opens.start()
    settled(state)
    assert state.subject.gallery == ""
    assert state.subject.stored not in ("", first)


def test_the_example_is_shipped() -> None:
    """No calculation stands between starting the app and its first picture."""
    state = AppState()
    Opener(state, lambda f: f(), engines=engines(fails=True)).gallery("mos2-1h")
    settled(state)
    assert state.hamiltonian is not None
    assert state.hamiltonian.provenance.source == "dft"
