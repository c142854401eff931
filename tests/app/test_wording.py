"""What messages of readers become on the page."""

from __future__ import annotations

from hamexplorer.app.progress import Notices
from hamexplorer.app.state import AppState
from hamexplorer.app.strip import details
from hamexplorer.app.wording import on_page
from hamexplorer.provenance import Provenance


def test_only_words_of_the_command_line_get_a_hint() -> None:
    for text in ("or give --structure", "given (--electrons, --fermi).", "into the same folder."):
        assert on_page(text).startswith(text)
        assert "drop the files together" in on_page(text)
    for text in ("x.cif is empty.", "a--b is refused", "Fe -- no", "300 MB"):
        assert on_page(text) == text


def alert_text(notices: Notices) -> str:
    return str(notices.view[0].objects[0].object)


def test_alerts_and_warnings_have_it() -> None:
    state = AppState()
    notices = Notices(state)
    state.tell("error", "Give --structure.")
    assert "drop the files together" in alert_text(notices)
    record = Provenance(source="x", title="x", warnings=("Give --electrons.",))
    assert "drop the files together" in details(record)
