"""The training loop on Lightning Fabric: any device, any number of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel

from hamexplorer.errors import CalculationCancelled, ConvergenceError, FileFormatError
from hamexplorer.model.delta.graph import CrystalGraph, batch
from hamexplorer.progress import Monitor
from hamexplorer.training.config import Stage, TrainingConfig
from hamexplorer.training.crystals import Crystal
from hamexplorer.training.logs import Logs
from hamexplorer.training.loss import band_loss, element_loss
from hamexplorer.training.sampler import Sampler
from hamexplorer.training.schedule import learning_rate, moving_average, progress
from hamexplorer.training.state import Identity, load_state, save_state
from hamexplorer.training.validation import Validation, validate

__all__ = ["STATE_FILE", "Position", "Trained", "Trainer"]

_TO_MEV = 1e3
STATE_FILE = "state.pt"


@dataclass
class Position:
    """Where a training stands: number of the stage, its steps and seconds, all steps and seconds,
    validations without a better one, and losses since the log's last row (sums and counts).
    """

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    total_steps: int = 0
    total_seconds: float = 0.0
    stale: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trained:
    """``network`` with its final weights; ``validation`` of them, None without such crystals;
    ``early`` whether a stage ended because nothing became better.
    """

    network: nn.Module
    steps: int
    seconds: float
    validation: Validation | None
    early: bool


class _Sealed:
    """Hands a graph through Fabric, which takes apart what it knows and knows no frozen data."""

    def __init__(self, graph: CrystalGraph) -> None:
        self.graph = graph


class _Elements(nn.Module):
    """The network as Fabric calls it: from a sealed graph to ΔH's elements alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, sealed: _Sealed) -> torch.Tensor:
        elements: torch.Tensor = self.network(sealed.graph).elements
        return elements


class Trainer:
    """Trains ``network`` on crystals, in the configuration's stages.

    The weights that count are a moving average over the steps. They are validated, and those with
    the smallest near-gap error are the result; without crystals to validate, the last ones.

    Every random choice comes from generators whose states are saved, so that a training that was
    stopped or killed and goes on ends with the same numbers as one that was not (where no limit is
    a time, on a device that computes reproducibly).

    Args:
        fabric: launched.
        config: stages, rates, limits.
        network: called with a graph; its scales are fitted.
        training, validation: the crystals, with states where bands are asked for.
        folder: of state and logs.
        identity: of this training.
        monitor: hears the progress; may stop it, after which the state is saved.

    Raises:
        SettingsError: ``folder`` holds another training.
        FileFormatError: its state is damaged.
        HamexplorerError: it cannot be written.
    """

    def __init__(
        self,
        fabric: Fabric,
        config: TrainingConfig,
        network: nn.Module,
        training: Sequence[Crystal],
        validation: Sequence[Crystal],
        folder: Path,
        identity: Identity,
        monitor: Monitor,
    ) -> None:
        self._fabric, self._config, self._monitor = fabric, config, monitor
        self._training = [c.to(fabric.device) for c in training]
        self._validation = [c.to(fabric.device) for c in validation]
        self._folder, self._identity = folder, identity
        self._stages = list(config.stages.items())
        self._plain = network
        self._optimizer_plain = torch.optim.Adam(network.parameters())
        self._network, self._optimizer = fabric.setup(_Elements(network), self._optimizer_plain)
        self._average = self._fresh_average()
        rank, world = fabric.global_rank, fabric.world_size
        self._sampler = Sampler(len(training), config.batch, config.seed, rank, world)
        self._generator = torch.Generator().manual_seed(config.seed + 1 + rank)
        self._position = Position()
        self._best: dict[str, Any] = {}
        self._early = False
        state = load_state(folder / STATE_FILE, identity)
        if state is not None:
            try:
                self._restore(state)
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                raise FileFormatError(
                    f"{folder / STATE_FILE} does not fit this training; give --fresh to train anew."
                ) from error
        self._logs = Logs(folder, self._position.total_steps) if fabric.is_global_zero else None
        self._saved = time.monotonic()

    @property
    def position(self) -> Position:
        """Where the training stands; after construction: where it goes on."""
        return self._position

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user."""
        return (self._logs.note,) if self._logs is not None and self._logs.note else ()

    def run(self) -> Trained:
        """Train to the end.

        Raises:
            CalculationCancelled: the monitor asked to stop; the state is saved.
            ConvergenceError: the loss is not finite.
        """
        try:
            while self._position.stage < len(self._stages):
                self._run_stage(*self._stages[self._position.stage])
        except CalculationCancelled as error:
            self._save()
            raise CalculationCancelled(
                f"The training was stopped at step {self._position.total_steps}; the same command "
                "goes on from there."
            ) from error
        finally:
            if self._logs is not None:
                self._logs.close()
        return self._result()

    # --- a stage ----------------------------------------------------------------------------

    def _run_stage(self, name: str, stage: Stage) -> None:
        at, config = self._position, self._config
        while True:
            done = self._shared(progress(stage, at.step, at.seconds))
            if done >= 1 or (stage.patience is not None and at.stale >= stage.patience):
                self._early |= done < 1
                break
            self._monitor.report(
                f"training, {name}", (at.stage + done) / len(self._stages), self._told()
            )
            since = time.monotonic()
            self._step(stage, learning_rate(stage, at.step, done))
            at.step += 1
            at.total_steps += 1
            if at.total_steps % config.validate_every == 0:
                self._validate()
            self._spend(time.monotonic() - since)
            if at.total_steps % config.log_every == 0:
                self._log(name)
            if time.monotonic() - self._saved >= 60 * config.checkpoint_minutes:
                self._save()
        self._end_stage()

    def _end_stage(self) -> None:
        """The average becomes the next stage's start, with a fresh optimiser."""
        at = self._position
        if self._validation:
            self._validate()
        self._log(self._stages[at.stage][0])
        self._plain.load_state_dict(self._average.module.state_dict())
        self._optimizer_plain.state.clear()
        self._average = self._fresh_average()
        at.stage, at.step, at.seconds, at.stale = at.stage + 1, 0, 0.0, 0
        self._save()

    def _step(self, stage: Stage, rate: float) -> None:
        for group in self._optimizer_plain.param_groups:
            group["lr"] = rate
        chosen = [self._training[k] for k in self._sampler.next()]
        self._optimizer.zero_grad()
        loss = self._loss(chosen, stage)
        if not bool(torch.isfinite(loss)):
            raise ConvergenceError(
                f"The loss is not finite at step {self._position.total_steps + 1} "
                f"({', '.join(c.name for c in chosen)}). Lower the stage's rate, or clip."
            )
        self._fabric.backward(loss)
        self._fabric.clip_gradients(
            self._network, self._optimizer, max_norm=self._config.clip, error_if_nonfinite=False
        )
        self._optimizer.step()
        self._average.update_parameters(self._plain)
        self._note("rate", rate)

    def _loss(self, chosen: Sequence[Crystal], stage: Stage) -> torch.Tensor:
        graph = batch([c.graph for c in chosen])
        elements = self._network(_Sealed(graph))
        sampling, total = self._config.sampling, elements.new_zeros(())
        for number, crystal in enumerate(chosen):
            own = elements[graph.elements[number] : graph.elements[number + 1]]
            own = own.to(crystal.target.dtype)
            of_elements = element_loss(own, crystal)
            self._note("elements_meV", _TO_MEV * float(of_elements.detach()))
            total = total + stage.elements * of_elements
            if stage.bands and crystal.states is not None:
                pool = crystal.states
                order = torch.randperm(len(pool.kpoints), generator=self._generator)
                taken = pool.at(order[: sampling.per_step].to(elements.device))
                of_bands = band_loss(own, crystal, taken, sampling.empty, sampling.width)
                self._note("bands_meV", _TO_MEV * float(of_bands.detach()))
                total = total + stage.bands * of_bands
        return total / len(chosen)

    # --- telling ----------------------------------------------------------------------------

    def _note(self, name: str, value: float) -> None:
        at = self._position
        at.sums[name] = at.sums.get(name, 0.0) + value
        at.counts[name] = at.counts.get(name, 0) + 1

    def _means(self) -> dict[str, float]:
        at = self._position
        return {name: total / at.counts[name] for name, total in at.sums.items()}

    def _told(self) -> str:
        means, parts = self._means(), [f"step {self._position.total_steps}"]
        for name, word in (("elements_meV", "elements"), ("bands_meV", "bands")):
            if name in means:
                parts.append(f"{word} {means[name]:.3g} meV")
        if self._best:
            parts.append(f"near the gap {self._best['validation']['near_gap']:.3g} meV")
        return ", ".join(parts)

    def _log(self, stage: str, more: Mapping[str, float] | None = None) -> None:
        at = self._position
        if self._logs is not None and (at.sums or more):
            row = {
                "step": at.total_steps,
                "stage": stage,
                "epoch": self._sampler.epoch,
                "seconds": at.total_seconds,
            }
            self._logs.write({**row, **(self._means() if more is None else more)})
        if more is None:
            at.sums, at.counts = {}, {}

    def _validate(self) -> None:
        if not self._validation:
            return
        at = self._position
        found = validate(self._average.module, self._validation)
        self._log(
            self._stages[at.stage][0],
            {
                "validation_elements_meV": found.elements,
                "validation_near_gap_meV": found.near_gap,
                "validation_near_gap_max_meV": found.near_gap_max,
            },
        )
        if not self._best or found.near_gap < self._best["validation"]["near_gap"]:
            weights = self._average.module.state_dict()
            self._best = {
                "validation": asdict(found),
                "network": {k: v.detach().clone() for k, v in weights.items()},
            }
            at.stale = 0
        else:
            at.stale += 1

    # --- state ------------------------------------------------------------------------------

    def _fresh_average(self) -> AveragedModel:
        return AveragedModel(self._plain, multi_avg_fn=moving_average(self._config.ema))

    def _spend(self, seconds: float) -> None:
        self._position.seconds += seconds
        self._position.total_seconds += seconds

    def _shared(self, value: float) -> float:
        """The first process's value, where there are several: all must end a stage together."""
        return value if self._fabric.world_size == 1 else float(self._fabric.broadcast(value))

    def _save(self) -> None:
        if self._fabric.is_global_zero:
            state = {
                "stage": asdict(self._position),
                "network": self._plain.state_dict(),
                "average": self._average.state_dict(),
                "optimizer": self._optimizer_plain.state_dict(),
                "precision": self._fabric.strategy.precision.state_dict(),
                "sampler": self._sampler.state(),
                "generator": self._generator.get_state(),
                "random": torch.get_rng_state(),
                "best": self._best,
                "early": self._early,
            }
            save_state(state, self._identity, self._folder / STATE_FILE)
        self._saved = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self._position = Position(**state["stage"])
        self._plain.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimizer_plain.load_state_dict(state["optimizer"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])
        self._sampler.restore(state["sampler"])
        torch.set_rng_state(state["random"])
        if self._fabric.is_global_zero:
            self._generator.set_state(state["generator"])
        else:  # the state is the first process's; others must not draw its k-points
            self._generator.manual_seed(self._generator.initial_seed() + self._position.total_steps)
        self._best, self._early = state["best"], state["early"]

    def _result(self) -> Trained:
        if self._best:
            self._plain.load_state_dict(self._best["network"])
        found = Validation(**self._best["validation"]) if self._best else None
        at = self._position
        network = self._plain.eval()
        return Trained(network, at.total_steps, at.total_seconds, found, self._early)
