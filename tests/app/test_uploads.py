"""Foreign files from a visitor, without a browser: pieces, bundles, facts beside the file."""

from __future__ import annotations

import base64
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_jobs import eventually
from test_opening import SI, opener, settled, with_silicon

import hamexplorer as hx
from hamexplorer.app.drop import DropZone
from hamexplorer.app.facts import FileFacts
from hamexplorer.errors import HamexplorerError
from hamexplorer.formats import ReadOptions

DATA = Path(__file__).parents[1] / "data"
SCFOUT = (DATA / "openmx" / "wse2_nc.scfout.xz").read_bytes()
WANNIER = {
    path.name: path.read_bytes()
    for path in (DATA / "wannier90" / "si").iterdir()
    if path.name in ("si_hr.dat.xz", "si.win", "si_wsvec.dat.xz", "si_centres.xyz")
}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# --- pieces -----------------------------------------------------------------------------------


class Browser:
    """Speaks with a DropZone as its JavaScript does."""

    def __init__(self, **options: Any) -> None:
        self.files: list[dict[str, bytes]] = []
        self.complaints: list[str] = []
        self.answers: list[dict[str, Any]] = []
        self.zone = DropZone(self.files.append, self.complaints.append, **options)
        self.zone._send_msg = self.answers.append  # type: ignore[method-assign]

    def say(self, kind: str, turn: int = 1, **more: Any) -> bool:
        """Whether the other side wants more."""
        self.zone.message = {"kind": kind, "turn": turn, **more}
        assert self.zone.message is None
        assert self.answers[-1]["turn"] == turn
        return bool(self.answers[-1]["more"])

    def begin(self, *files: tuple[str, int], turn: int = 1) -> bool:
        return self.say("begin", turn, files=[{"name": n, "size": s} for n, s in files])

    def piece(self, data: bytes, file: int = 0, turn: int = 1) -> bool:
        return self.say("piece", turn, file=file, data=base64.b64encode(data).decode())


def test_pieces_become_files_again() -> None:
    browser = Browser()
    assert browser.begin(("a.cif", 5), ("empty", 0), ("b.cif", 2))
    assert browser.piece(b"abc")
    assert browser.piece(b"de")
    assert browser.piece(b"fg", file=2)
    assert not browser.say("end")
    assert browser.files == [{"a.cif": b"abcde", "empty": b"", "b.cif": b"fg"}]
    assert browser.complaints == []


def test_a_new_drop_puts_an_end_to_the_one_before() -> None:
    browser = Browser()
    browser.begin(("a", 4))
    browser.piece(b"ab")
    assert browser.begin(("b", 1), turn=2)
    browser.piece(b"cd", turn=1)  # too late
    browser.piece(b"x", turn=2)
    browser.say("end", turn=2)
    assert browser.files == [{"b": b"x"}]
    assert browser.complaints == []


def test_what_is_too_large_is_refused_before_it_travels() -> None:
    browser = Browser(max_bytes=1_000_000)
    assert not browser.begin(("big.scfout", 1_500_000))
    assert "big.scfout: 2 MB; up to 1 MB" in browser.complaints[0]
    assert "hamexplorer app FILE" in browser.complaints[0]
    assert not browser.begin(("a", 700_000), ("b", 700_000))
    assert browser.complaints[1].startswith("2 files: 1 MB")
    assert not browser.begin(*((str(i), 1) for i in range(2001)))
    assert "2001 files" in browser.complaints[2]
    assert not browser.begin(("a", 1), ("a", 1))
    assert "same name" in browser.complaints[3]
    assert browser.files == []


def test_a_client_that_lies_is_refused() -> None:
    for lie in (
        lambda b: b.piece(b"abcdef"),  # more than was said
        lambda b: b.say("end"),  # less
        lambda b: b.say("piece", file=0, data="not base64"),
        lambda b: b.say("piece", file=7, data=""),
        lambda b: b.say("piece", file=0),
        lambda b: b.say("failed"),
        lambda b: b.say("nonsense"),
    ):
        browser = Browser()
        browser.begin(("a", 4))
        assert not lie(browser)
        assert "a: the upload was damaged" in browser.complaints[0]
        assert browser.files == []
    browser = Browser()
    for files in (None, [], [{}], [{"name": "a", "size": -1}], [{"name": "a", "size": "x"}], 7):
        assert not browser.say("begin", files=files)
    assert not browser.piece(b"x")  # without a beginning
    assert browser.files == []


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        {"wse2.scfout.xz": SCFOUT},
        {"whatever": lzma.decompress(SCFOUT)},
        {"run.zip": zipped({"run/wse2.scfout.xz": SCFOUT, "run/wse2.out": b"text"})},
        {"wse2.scfout.xz": SCFOUT, "wse2.out": b"text"},
    ],
    ids=["packed", "plain", "zip", "folder"],
)
def test_foreign_files_open_and_can_be_linked(files: dict[str, bytes], tmp_path: Path) -> None:
    state, opens = opener(tmp_path)
    opens.upload(files)
    settled(state)
    assert state.notices == []
    assert state.hamiltonian is not None
    assert state.subject is not None
    assert state.hamiltonian.provenance.source == "openmx"
    assert state.hamiltonian.n_electrons == 24
    again, other = opener(tmp_path)
    other.stored(state.subject.stored)
    settled(again)
    assert again.hamiltonian is not None
    assert np.array_equal(again.hamiltonian.scalar, state.hamiltonian.scalar)
    assert again.hamiltonian.provenance == state.hamiltonian.provenance


BAD = {
    "cut": ({"cut.scfout": lzma.decompress(SCFOUT)[:500_000]}, "cut.scfout"),
    "two": ({"a.scfout.xz": SCFOUT, "b.scfout.xz": SCFOUT}, "holds 2 Hamiltonians"),
    "no format": ({"a.txt": b"a\n", "b.txt": b"b\n"}, "no Hamiltonian of a known format"),
    "two crystals": ({"si.cif": SI, "two.cif": SI}, "si.cif, two.cif: one crystal at a time"),
    "empty zip": ({"a.zip": zipped({})}, "a.zip"),
    "zip of text": ({"a.zip": zipped({"notes": b"text"})}, "a.zip holds no Hamiltonian"),
    "climbing name": ({"../../x.scfout": SCFOUT}, "refused"),
    "bomb": ({"a.scfout.xz": lzma.compress(bytes(700_000_000), preset=0)}, "a.scfout.xz"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_said_and_the_old_view_stays(tmp_path: Path, name: str) -> None:
    state, opens = with_silicon(tmp_path)
    before = state.subject
    files, message = BAD[name]
    opens.upload(files)
    eventually(lambda: state.job is None, 20)
    assert [notice.severity for notice in state.notices] == ["error"]
    assert message in state.notices[0].text
    assert state.subject is before


# --- facts beside the file --------------------------------------------------------------------


def test_assumed_electrons_can_be_corrected(tmp_path: Path) -> None:
    state, opens = opener(tmp_path)
    facts = FileFacts(state, opens)
    assert not facts.apply.visible
    opens.upload(WANNIER)
    settled(state)
    assert state.notices == []
    assumed, subject = state.hamiltonian, state.subject
    assert assumed is not None
    assert subject is not None
    assert assumed.n_electrons == 8
    assert any("does not tell how many electrons" in w for w in assumed.provenance.warnings)
    assert facts.apply.visible
    assert facts.view.active == [0]  # it shows itself
    assert "half of all states" in facts.about.view.object

    facts.electrons.value_input = "6"
    facts.apply.clicks += 1
    eventually(lambda: state.hamiltonian is not assumed and state.job is None)
    corrected = state.hamiltonian
    assert corrected is not None
    assert corrected.n_electrons == 6
    assert np.array_equal(corrected.scalar, assumed.scalar)
    assert not any("how many electrons" in w for w in corrected.provenance.warnings)
    assert facts.electrons.value_input == ""
    assert "6 electrons, as you said" in facts.about.view.object
    # a link leads to the corrected one
    assert state.subject is not None
    assert state.subject.stored not in ("", subject.stored)
    again, other = opener(tmp_path)
    other.stored(state.subject.stored)
    settled(again)
    assert again.hamiltonian is not None
    assert again.hamiltonian.n_electrons == 6

    # the Fermi energy of the calculation (README of the data)
    facts.fermi.value_input = "6.3"
    facts.apply.clicks += 1
    eventually(lambda: state.hamiltonian is not corrected and state.job is None, 20)
    assert state.hamiltonian is not None
    assert state.hamiltonian.n_electrons == 8
    assert state.hamiltonian.provenance.results["n_electrons_from"] == "Fermi energy"


def test_facts_go_with_the_next_file(tmp_path: Path) -> None:
    state, opens = opener(tmp_path)
    facts = FileFacts(state, opens)
    facts.electrons.value_input, facts.spins.value = " 10 ", "block"
    assert facts.options() == ReadOptions(n_electrons=10.0, spin_order="block")
    facts.spins.value = ""
    opens.upload(WANNIER, facts.options())
    settled(state)
    assert state.hamiltonian is not None
    assert state.hamiltonian.n_electrons == 10
    assert facts.options() == ReadOptions()  # they were that file's
    # a structure has none
    opens.upload({"Si.cif": SI}, ReadOptions(n_electrons=3))
    settled(state)
    assert "Si.cif holds no Hamiltonian" in state.notices[0].text


def test_wrong_facts_are_said(tmp_path: Path) -> None:
    state, opens = opener(tmp_path)
    facts = FileFacts(state, opens)
    opens.upload(WANNIER)
    settled(state)
    before = state.subject
    for field, text, message in (
        (facts.electrons, "many", "'many' is not a number"),
        (facts.electrons, "-3", "n_electrons must"),
        (facts.electrons, "1000", "do not fit"),
        (facts.fermi, "nan", "fermi_energy must"),
        (facts.fermi, "", "Give the number"),
    ):
        state.notices = []
        field.value_input = text
        facts.apply.clicks += 1
        eventually(lambda: state.job is None and len(state.notices) > 0)
        assert message in state.notices[0].text
        assert state.subject is before
        field.value_input = ""


def test_a_file_that_tells_its_electrons_is_not_asked_about(tmp_path: Path) -> None:
    state, opens = opener(tmp_path)
    facts = FileFacts(state, opens)
    opens.upload({"wse2.scfout.xz": SCFOUT})
    settled(state)
    assert not facts.apply.visible


def test_our_own_file_of_a_guess_can_be_corrected_on_the_command_line(tmp_path: Path) -> None:
    h = hx.open(DATA / "wannier90" / "si" / "si_hr.dat.xz")
    hx.save(h, tmp_path / "si.h5")
    assert hx.open(tmp_path / "si.h5", electrons=6).n_electrons == 6
    with pytest.raises(HamexplorerError, match="needs no options"):
        hx.open(tmp_path / "si.h5", spin_order="block")
