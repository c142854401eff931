"""Commands run in this process, and what they print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hamexplorer.cli import main


def answered(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON of a command that must succeed."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The message of a command that must fail with exit code 2 and print nothing else."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert captured.err.strip()
    return captured.err.strip()
