"""In which order crystals are learned: anew in every epoch, and known at any step."""

from __future__ import annotations

from typing import Any

import torch

from hamexplorer.errors import SettingsError

__all__ = ["Sampler"]


class Sampler:
    """Batches of crystals' numbers for every process.

    An epoch is a permutation of all crystals, cut into steps of ``batch`` · ``processes``; what is
    left at its end goes into the next one's first step. All processes draw the same order and take
    their own parts of it.

    Args:
        count: number of crystals.
        batch: of them in a step, for each process.
        seed: of the orders.
        process, processes: whose part is taken, and of how many.

    Raises:
        SettingsError: there is no crystal.
    """

    def __init__(
        self, count: int, batch: int, seed: int, process: int = 0, processes: int = 1
    ) -> None:
        if count < 1:
            raise SettingsError("There is no crystal to train on.")
        self._count, self._batch = count, batch
        self._process, self._processes = process, processes
        self._generator = torch.Generator().manual_seed(seed)
        self._order: list[int] = []
        self.epoch = 0

    def next(self) -> list[int]:
        """The next step's crystals of this process."""
        wanted = self._batch * self._processes
        while len(self._order) < wanted:
            self._order += torch.randperm(self._count, generator=self._generator).tolist()
            self.epoch += 1
        chosen, self._order = self._order[:wanted], self._order[wanted:]
        return chosen[self._process :: self._processes]

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs."""
        return {
            "order": list(self._order),
            "epoch": self.epoch,
            "generator": self._generator.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self._order = list(state["order"])
        self.epoch = state["epoch"]
        self._generator.set_state(state["generator"])
