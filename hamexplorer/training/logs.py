"""What a training tells of its course: a CSV file, and TensorBoard's where that is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hamexplorer.errors import HamexplorerError
from hamexplorer.files import written

__all__ = ["COLUMNS", "Logs"]

COLUMNS = (
    "step",
    "stage",
    "epoch",
    "seconds",
    "rate",
    "elements_meV",
    "bands_meV",
    "validation_elements_meV",
    "validation_near_gap_meV",
    "validation_near_gap_max_meV",
)
_TEXTS = {"step", "stage"}
_NO_TENSORBOARD = (
    "TensorBoard is not installed, so that the course of the training is written to log.csv alone "
    "(the package tensorboard belongs to hamexplorer's extra 'train')."
)


class Logs:
    """Rows of numbers by step; what was written beyond ``step`` by a killed training is dropped.

    ``note`` is a sentence for the user if TensorBoard is missing, else empty.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / "log.csv"
        self._begin(step)
        self._writer: Any = None
        self.note = ""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.note = _NO_TENSORBOARD
        else:
            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def _begin(self, step: int) -> None:
        kept: list[dict[str, str]] = []
        if step and self._path.is_file():
            with self._path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    number = row.get("step") or ""
                    if number.isdecimal() and int(number) <= step:
                        kept.append({name: row.get(name) or "" for name in COLUMNS})
        with (
            written(self._path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def write(self, row: Mapping[str, Any]) -> None:
        """One row; columns that it does not name stay empty.

        Raises:
            HamexplorerError: it cannot be written.
        """
        told = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        try:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, COLUMNS).writerow(told)
        except OSError as error:
            raise HamexplorerError(
                f"{self._path} cannot be written: {error.strerror or error}."
            ) from error
        if self._writer is not None:
            for name, value in row.items():
                if name not in _TEXTS:
                    self._writer.add_scalar(name, value, int(row["step"]))

    def close(self) -> None:
        """Write what is buffered."""
        if self._writer is not None:
            self._writer.close()
