"""Who computes the Hamiltonian of a crystal: DFT where it is quick, else superposed atoms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_jobs import eventually
from toy import RefusingSource, SmallSource, ToyAtoms, ToySource

from hamexplorer.app.approximate import ApproximationLine, sentence
from hamexplorer.app.choosing import Engines
from hamexplorer.app.opening import Opener
from hamexplorer.app.rail import Rail
from hamexplorer.app.state import AppState
from hamexplorer.app.strip import summary
from hamexplorer.app.url import read_query, write_query
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.hamiltonian import save_hamiltonian
from hamexplorer.sources import HamiltonianCache
from hamexplorer.structures import load_gallery

QUICK, SLOW = 10.0, 4000.0


def visitor(folder: Path, engines: Engines | None = None, **values: Any) -> tuple[AppState, Opener]:
    state = AppState(**values)
    opener = Opener(state, lambda f: f(), cache=HamiltonianCache(folder), engines=engines or both())
    return state, opener


def both(
    dft: Callable[..., Any] = ToySource,
    atoms: Callable[..., Any] = ToyAtoms,
    *,
    seconds: tuple[float, float] = (QUICK, QUICK),
    **options: Any,
) -> Engines:
    """DFT and superposed atoms that estimate ``seconds``."""
    return Engines(
        lambda s: dft(s, estimated=seconds[0], **options),
        lambda s: atoms(s, estimated=seconds[1], **options),
    )


def settled(state: AppState) -> None:
    eventually(lambda: state.job is None)


def waiting(state: AppState) -> None:
    eventually(lambda: state.job is not None and state.job.waiting)


def answered(state: AppState) -> str:
    assert state.hamiltonian is not None
    return state.hamiltonian.provenance.source


def told(state: AppState) -> str:
    assert state.subject is not None
    beside = state.subject.approximation
    return "" if beside is None else sentence(beside)


def large() -> Any:
    return load_gallery("gaas") * (2, 1, 1)


def test_dft_answers_where_it_is_quick(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path)
    opener.gallery("gaas")
    settled(state)
    assert (answered(state), told(state)) == ("test", "")
    assert write_query(state) == "?s=gaas"


def test_atoms_are_superposed_where_dft_refuses_for_size(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, both(SmallSource))
    line = ApproximationLine(state, opener)
    assert not line.view.visible
    opener.given(large())
    settled(state)
    assert answered(state) == "superposed"
    assert told(state) == (
        "4 atoms: too large for DFT here; superposed atoms, approximate: near-gap levels within "
        "0.1 eV."
    )
    assert line.view.visible
    assert not line.dft.visible
    opener.gallery("gaas")
    settled(state)
    assert answered(state) == "test"
    assert not line.view.visible


def test_what_the_result_says_of_itself_replaces_what_was_expected(tmp_path: Path) -> None:
    class Wary(ToyAtoms):
        def capability(self) -> Any:
            return replace(super().capability(), accuracy="expected.")

    state, opener = visitor(tmp_path, both(SmallSource, Wary))
    opener.given(large())
    settled(state)
    assert told(state).endswith("approximate: near-gap levels within 0.1 eV.")


def test_atoms_are_superposed_where_dft_is_slow_and_dft_is_offered(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, both(seconds=(SLOW, QUICK)))
    line = ApproximationLine(state, opener)
    opener.gallery("gaas")
    settled(state)
    assert answered(state) == "superposed"
    assert told(state).startswith("2 atoms: DFT would take about 67 min; superposed atoms, approx")
    assert line.dft.visible
    assert line.dft.label == "Compute with DFT (about 67 min)"
    line.dft.clicks += 1
    settled(state)
    assert answered(state) == "test"
    assert not line.view.visible
    assert state.source == "auto"  # for the next crystal
    # what DFT has computed is at hand from now on
    again, other = visitor(tmp_path, both(seconds=(SLOW, QUICK)))
    other.gallery("gaas")
    settled(again)
    assert answered(again) == "test"


def test_slow_superposed_atoms_wait_for_a_word(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, both(SmallSource, seconds=(QUICK, SLOW)))
    opener.given(large())
    waiting(state)
    assert state.job is not None
    assert state.job.description == "superposed atoms, 4 atoms: about 4000 s"
    assert state.hamiltonian is None
    assert "too large for DFT here" in told(state)
    opener.start()
    settled(state)
    assert answered(state) == "superposed"


def test_slow_dft_waits_where_atoms_cannot_be_superposed(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, both(atoms=RefusingSource, seconds=(SLOW, QUICK)))
    opener.gallery("gaas")
    waiting(state)
    assert state.job is not None
    assert state.job.description == "2 atoms: about 4000 s"
    assert told(state) == ""
    opener.start()
    settled(state)
    assert answered(state) == "test"


def test_atoms_whose_accuracy_is_not_known_answer_only_where_dft_refuses(tmp_path: Path) -> None:
    def partly(settings: Any, **options: Any) -> ToyAtoms:
        return ToyAtoms(settings, assessed=frozenset({"As", "Si"}), **options)

    state, opener = visitor(tmp_path, both(atoms=partly, seconds=(SLOW, QUICK)))
    opener.gallery("si")
    settled(state)
    assert answered(state) == "superposed"
    opener.gallery("gaas")
    waiting(state)
    assert told(state) == ""
    state, opener = visitor(tmp_path, both(SmallSource, atoms=partly))
    seen: list[str] = []
    state.param.watch(lambda _: seen.append(told(state)), "subject")
    opener.given(large())
    settled(state)
    assert answered(state) == "superposed"
    assert seen[0].endswith("approximate: There is no fitted potential for Ga.")


@pytest.mark.parametrize(
    ("dft", "atoms", "message"),
    [
        (SmallSource, RefusingSource, "no table of Ga"),  # to say DFT's limit would not help
        (RefusingSource, SmallSource, "no table of Ga"),
        (SmallSource, SmallSource, "4 atoms in the cell"),
    ],
)
def test_what_none_can_compute_is_said_and_the_old_view_stays(
    tmp_path: Path, dft: Any, atoms: Any, message: str
) -> None:
    state, opener = visitor(tmp_path)
    opener.gallery("si")
    settled(state)
    before = state.subject
    refusing = Opener(
        state, lambda f: f(), cache=HamiltonianCache(tmp_path), engines=both(dft, atoms)
    )
    refusing.given(large())
    eventually(lambda: state.job is None and bool(state.notices))
    assert [notice.severity for notice in state.notices] == ["error"]
    assert message in state.notices[0].text
    assert state.subject is before


def test_the_visitor_s_choice_is_kept_to(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, both(SmallSource), source="superposed")
    opener.gallery("gaas")
    settled(state)
    assert answered(state) == "superposed"
    assert told(state) == "Superposed atoms, approximate: near-gap levels within 0.1 eV."
    assert write_query(state) == "?s=gaas&source=superposed"
    state.source = "dft"
    opener.given(large())
    eventually(lambda: state.job is None and bool(state.notices))
    assert "4 atoms in the cell; at most 2 are taken. Superposed atoms" in state.notices[0].text
    assert "“automatic” under “Calculation”" in state.notices[0].text
    slow, patient = visitor(tmp_path / "b", both(seconds=(SLOW, QUICK)), source="dft")
    patient.gallery("gaas")
    waiting(slow)


def test_a_link_opens_what_the_same_engine_answered(tmp_path: Path) -> None:
    slow = both(seconds=(SLOW, QUICK))
    state, opener = visitor(tmp_path / "one", slow)
    opener.gallery("gaas")
    settled(state)
    assert answered(state) == "superposed"
    assert state.subject is not None
    values, crystal, notes = read_query(write_query(state))
    assert (values, notes) == ({}, [])
    assert crystal == {"gallery": "gaas", "stored": state.subject.stored}
    opener.start("dft")  # now in the cache, too
    settled(state)
    again, other = visitor(tmp_path / "one", slow)
    other.stored(crystal["stored"], crystal["gallery"])
    settled(again)
    assert again.subject is not None
    assert (answered(again), again.subject.gallery) == ("superposed", "gaas")
    assert "DFT would take" in told(again)
    # on another computer
    away, third = visitor(tmp_path / "two", slow)
    third.stored(crystal["stored"], crystal["gallery"])
    settled(away)
    assert away.notices == []
    assert away.subject is not None
    assert (answered(away), away.subject.gallery) == ("superposed", "gaas")


def test_a_saved_result_of_superposed_atoms_is_known_again(tmp_path: Path) -> None:
    h = ToyAtoms(accuracy="within 7 meV.").compute(large())
    save_hamiltonian(h, tmp_path / "mine.h5")
    state, opener = visitor(tmp_path / "cache", both(SmallSource))
    opener.upload({"mine.h5": (tmp_path / "mine.h5").read_bytes()})
    settled(state)
    assert told(state).endswith(
        "too large for DFT here; superposed atoms, approximate: within 7 meV."
    )


def test_cancelled_superposing_brings_the_old_view_back(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path)
    opener.gallery("si")
    settled(state)
    before = state.subject
    slow = both(SmallSource, lambda s, **o: ToyAtoms(s, **(o | {"seconds": 30})))
    other = Opener(state, lambda f: f(), cache=HamiltonianCache(tmp_path), engines=slow)
    other.given(large())
    eventually(lambda: state.job is not None and state.job.event is not None)
    assert "too large for DFT here" in told(state)
    other.cancel()
    settled(state)
    assert state.subject is before
    assert told(state) == ""


def test_settings_in_the_rail_are_those_of_the_source(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, both())
    rail = Rail(state, opener)

    def shown() -> list[bool]:
        return [widget.visible for widget in (rail.kmesh, rail.cutoff, rail.spacing)]

    assert shown() == [True, True, True]
    assert rail.kmesh.label == "k mesh (DFT)"
    rail.source.value = "dft"
    assert (state.source, shown()) == ("dft", [True, True, False])
    assert rail.kmesh.label == "k mesh"
    state.source = "superposed"
    assert (rail.source.value, shown()) == ("superposed", [False, False, True])
    opener.gallery("gaas")
    settled(state)
    rail.kmesh.value = "nonsense"  # not shown
    rail.spacing.value = "0.2"
    rail.compute.clicks += 1
    settled(state)
    assert state.superposed == SuperposedSettings(spacing=0.2)
    assert state.settings == DftSettings()
    assert state.hamiltonian is not None
    assert state.hamiltonian.provenance.settings["spacing"] == 0.2
    assert "0.2 Å grid" in summary(state.hamiltonian.provenance)
    # not what the example's name alone would lead to
    assert state.subject is not None
    assert (state.subject.gallery, state.subject.stored == "") == ("", False)
    rail.spacing.value = "wide"
    rail.compute.clicks += 1
    assert "The grid spacing 'wide' is not a number" in state.notices[0].text
    rail.spacing.value = "3"
    rail.compute.clicks += 1
    assert "spacing must lie in" in state.notices[-1].text


def test_the_strip_does_not_count_seconds_twice() -> None:
    record = ToyAtoms().compute(load_gallery("gaas")).provenance
    from dataclasses import replace

    timed = replace(record, timings={"integrals": 2.0, "grid": 3.0, "all": 5.5})
    assert "Superposed atoms, fitted" in summary(timed)
    assert "5.5 s" in summary(timed)
