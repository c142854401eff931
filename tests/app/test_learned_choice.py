"""When the learned model answers for a crystal, and what is told beside its answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_choosing import QUICK, SLOW, answered, both, large, settled, told, visitor, waiting
from test_jobs import eventually
from toy import RefusingSource, SmallSource, ToyModel

from hamexplorer.app import choosing
from hamexplorer.app.approximate import ApproximationLine
from hamexplorer.app.choosing import Engines, shipped_engines
from hamexplorer.app.rail import Rail
from hamexplorer.app.state import AppState
from hamexplorer.app.url import read_query, write_query
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import FileFormatError, HamexplorerError, StructureError
from hamexplorer.hamiltonian import save_hamiltonian

KNOWN = "near-gap bands within 2 meV."
DOUBT = "The surroundings of 1 of 2 atoms are unlike all."


def three(seconds: tuple[float, float] = (QUICK, QUICK), dft: Any = None, **model: Any) -> Engines:
    """DFT and atoms as ``both`` gives them, and a learned model."""
    others = both(seconds=seconds) if dft is None else both(dft, seconds=seconds)
    return replace(others, learned=lambda settings: ToyModel(settings, **model))


@pytest.mark.parametrize(
    ("crystal", "engines", "who", "line"),
    [
        ("gaas", three(), "learned", f"Learned model Tiny, approximate: {KNOWN}"),
        (
            "gaas",
            three((SLOW, QUICK)),
            "learned",
            f"2 atoms: DFT would take about 67 min; learned model Tiny, approximate: {KNOWN}",
        ),
        (
            "large",
            three(dft=SmallSource),
            "learned",
            f"4 atoms: too large for DFT here; learned model Tiny, approximate: {KNOWN}",
        ),
        # an element that it does not know: as if it were not there
        ("si", three(), "test", ""),
        ("si", three((SLOW, QUICK)), "superposed", "2 atoms: DFT would take about 67 min; superp"),
        # magnets
        ("gaas", three(damage=StructureError), "test", ""),
        # doubts: the others, and why
        ("gaas", three(doubt=DOUBT), "test", ""),
        (
            "gaas",
            three((SLOW, QUICK), doubt=DOUBT),
            "superposed",
            "2 atoms: DFT would take about 67 min; the learned model is left out (The surroundings "
            "of 1 of 2 atoms are unlike all); superposed atoms, approximate: near-gap levels",
        ),
        (
            "large",
            three(dft=SmallSource, damage=FileFormatError),
            "superposed",
            "4 atoms: too large for DFT here; the learned model is left out (The file of weights "
            "is damaged); superposed atoms",
        ),
        (
            "gaas",
            three((SLOW, QUICK), damage=HamexplorerError),
            "superposed",
            "2 atoms: DFT would take about 67 min; the learned model is left out (The file of ",
        ),
    ],
)
def test_who_answers_by_itself(
    tmp_path: Path, crystal: str, engines: Engines, who: str, line: str
) -> None:
    state, opener = visitor(tmp_path, engines)
    if crystal == "large":
        opener.given(large())
    else:
        opener.gallery(crystal)
    settled(state)
    assert (answered(state), state.notices) == (who, [])
    assert told(state).startswith(line)
    assert bool(told(state)) == bool(line)
    # the result is at hand now, and the same is told
    again, other = visitor(tmp_path, engines)
    if crystal == "large":
        other.given(large())
    else:
        other.gallery(crystal)
    settled(again)
    assert (answered(again), told(again)) == (who, told(state))


def test_why_the_model_is_left_out_is_told_while_dft_computes(tmp_path: Path) -> None:
    others = both(atoms=RefusingSource, seconds=(SLOW, QUICK))
    engines = replace(others, learned=lambda settings: ToyModel(settings, doubt=DOUBT))
    state, opener = visitor(tmp_path, engines)
    opener.gallery("gaas")
    waiting(state)
    assert state.job is not None
    assert state.job.description == (
        "2 atoms: about 4000 s; the learned model is left out (The surroundings of 1 of 2 atoms "
        "are unlike all)"
    )


def test_dft_is_offered_and_stays_once_it_is_there(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, three((SLOW, QUICK)))
    line = ApproximationLine(state, opener)
    opener.gallery("gaas")
    settled(state)
    assert line.view.visible
    assert line.dft.label == "Compute with DFT (about 67 min)"
    line.dft.clicks += 1
    settled(state)
    assert answered(state) == "test"
    assert not line.view.visible
    again, other = visitor(tmp_path, three((SLOW, QUICK)))
    other.gallery("gaas")
    settled(again)
    assert answered(again) == "test"


def test_settings_of_dft_ask_for_dft(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, three(), settings=DftSettings(kmesh=(3, 3, 3)))
    opener.gallery("gaas")
    settled(state)
    assert answered(state) == "test"


def test_the_visitor_s_choice_is_kept_to_and_doubts_are_told(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, three(doubt=DOUBT), source="learned")
    opener.gallery("gaas")
    settled(state)
    assert answered(state) == "learned"
    assert told(state) == (
        f"Learned model Tiny, approximate: {DOUBT} Within what it has seen: {KNOWN}"
    )
    assert write_query(state) == "?s=gaas&source=learned"
    assert read_query("?s=gaas&source=learned")[0] == {"source": "learned"}
    before = state.subject
    opener.gallery("si")
    eventually(lambda: state.job is None and bool(state.notices))
    assert "The model knows no Si" in state.notices[0].text
    assert state.subject is before


def test_a_link_names_the_result_where_another_engine_might_answer(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path / "one", three())
    opener.gallery("gaas")
    settled(state)
    query = write_query(state)
    assert state.subject is not None
    assert query == f"?s=gaas&h={state.subject.stored}"
    crystal = read_query(query)[1]
    again, other = visitor(tmp_path / "one", three())
    other.stored(crystal["stored"], crystal["gallery"])
    settled(again)
    assert (answered(again), told(again)) == ("learned", told(state))


def test_a_slow_model_waits_for_a_word(tmp_path: Path) -> None:
    state, opener = visitor(tmp_path, three(dft=SmallSource, estimated=SLOW))
    opener.given(large())
    waiting(state)
    assert state.job is not None
    assert state.job.description == "learned model Tiny, 4 atoms: about 4000 s"
    opener.start()
    settled(state)
    assert answered(state) == "learned"


def test_a_saved_result_is_known_again(tmp_path: Path) -> None:
    save_hamiltonian(ToyModel(accuracy="within 7 meV.").compute(large()), tmp_path / "mine.h5")
    state, opener = visitor(tmp_path / "cache", both(SmallSource))
    opener.upload({"mine.h5": (tmp_path / "mine.h5").read_bytes()})
    settled(state)
    assert told(state).endswith("learned model Tiny, approximate: within 7 meV.")


def test_without_a_model_nothing_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "shipped_weights", lambda: None)
    assert shipped_engines() == Engines()
    state, opener = visitor(tmp_path, both())
    assert "learned" not in _offered(state, opener)
    asking, other = visitor(tmp_path, both(), source="learned")  # by an old link
    assert "learned" in _offered(asking, other)
    other.gallery("gaas")
    eventually(lambda: asking.job is None and bool(asking.notices))
    assert "no learned model in this installation" in asking.notices[0].text

    monkeypatch.setattr(choosing, "shipped_weights", lambda: tmp_path)
    assert shipped_engines().learned is not None
    state, opener = visitor(tmp_path, three())
    rail = Rail(state, opener)
    rail.source.value = "learned"
    assert state.source == "learned"
    shown = [widget.visible for widget in (rail.kmesh, rail.cutoff, rail.spacing)]
    assert shown == [False, False, True]


def _offered(state: AppState, opener: Any) -> list[str]:
    return list(Rail(state, opener).source.options.values())
