"""What a training is: one typed YAML file, kept with the weights that came of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hamexplorer.typed_yaml import read_yaml, validated

__all__ = ["Sampling", "Stage", "TrainingConfig", "config_from", "load_config"]

_FREE = {"data", "threads", "accelerator", "devices", "checkpoint_minutes", "log_every"}
"""May change between a training and its continuation: they decide nothing of what is learned."""
_FREE_OF_STAGE = {"steps", "minutes"}

Fraction = Annotated[float, Field(gt=0, le=1)]
Precision = Literal["32-true", "64-true", "bf16-mixed", "16-mixed"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Stage(_Strict):
    """A part of the training with a learning rate and losses of its own.

    The learning rate rises over ``warmup`` steps and falls by half a cosine from ``rate`` to
    ``rate · last`` over the stage, which ends with whichever limit comes first.

    Attributes:
        steps: most optimiser steps; 0 leaves the stage out.
        minutes: most minutes, validation included; None: no limit.
        rate: highest learning rate.
        warmup: steps over which it rises.
        last: part of it that is left at the end.
        elements: weight of the loss of matrix elements.
        bands: weight of the loss of bands; 0 leaves it out.
        patience: validations without a better near-gap error after which the stage ends; None:
            it does not end early.
    """

    steps: Annotated[int, Field(ge=0, le=10**8)] = 10_000
    minutes: Annotated[float, Field(gt=0, le=10**5)] | None = None
    rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    warmup: Annotated[int, Field(ge=0, le=10**6)] = 50
    last: Fraction = 0.01
    elements: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    bands: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    patience: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _has_a_loss(self) -> Stage:
        if self.elements == self.bands == 0:
            raise ValueError("elements and bands are both 0, so that nothing would be learned")
        return self


class Sampling(_Strict):
    """k-points and states of the band loss.

    Attributes:
        pool: k-points drawn once for every crystal, at which its states are kept.
        per_step: of them taken anew in every step.
        empty: unoccupied states in the loss, as a part of the occupied ones (at least 1).
        width: states ΔE apart count 1 / (1 + |ΔE| / width), eV.
        validation: k-points at which a crystal of the validation set is diagonalised.
    """

    pool: Annotated[int, Field(ge=1, le=10_000)] = 32
    per_step: Annotated[int, Field(ge=1, le=10_000)] = 6
    empty: Annotated[float, Field(ge=0, le=100)] = 0.4
    width: Annotated[float, Field(gt=0, le=1e4)] = 5.0
    validation: Annotated[int, Field(ge=1, le=10_000)] = 8


class TrainingConfig(_Strict):
    """A whole training.

    Attributes:
        data: folder of the data set.
        title: of the model's card.
        architecture: ``delta`` (in the edge's frame) or ``compatible`` (as HamGNN's).
        network: sizes that differ from the architecture's defaults.
        elements, bands: the two stages; their losses may be any.
        sampling: k-points and states of the band loss.
        batch: crystals of a step, on each device.
        ema: decay of the averaged weights, which are validated and kept.
        clip: largest norm of the gradients.
        validate_every: steps between validations.
        log_every: steps between rows of the log.
        checkpoint_minutes: between states that a training continues from; 0: after every step.
        seed: of weights, orders and k-points.
        precision: of the network; losses are computed in 32 bits or more.
        accelerator, devices: where, in Fabric's words; by default a GPU if there is one.
        threads: of the processor; None: OMP_NUM_THREADS, else all cores.
    """

    data: Path | None = None
    title: str = "Learned Hamiltonian"
    architecture: Literal["delta", "compatible"] = "delta"
    network: dict[str, Any] = {}
    elements: Stage = Stage(steps=4_000)
    bands: Stage = Stage(steps=12_000, rate=1e-3, elements=0.3, bands=1.0)
    sampling: Sampling = Sampling()
    batch: Annotated[int, Field(ge=1, le=10_000)] = 1
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    clip: Annotated[float, Field(gt=0)] = 1.0
    validate_every: Annotated[int, Field(ge=1)] = 500
    log_every: Annotated[int, Field(ge=1)] = 20
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 2.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    precision: Precision = "32-true"
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Annotated[int, Field(ge=1, le=1024)] = 1
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None

    @model_validator(mode="after")
    def _has_a_stage(self) -> TrainingConfig:
        if not self.stages:
            raise ValueError("elements.steps and bands.steps are both 0: nothing would be learned")
        return self

    @property
    def stages(self) -> dict[str, Stage]:
        """The stages that have steps, in their order."""
        return {name: s for name, s in _stages(self).items() if s.steps}

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what is learned, but for the stages' lengths."""
        plain = self.model_dump(mode="json", exclude=_FREE)
        for name in _stages(self):
            plain[name] = {k: v for k, v in plain[name].items() if k not in _FREE_OF_STAGE}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def within(self, minutes: float) -> TrainingConfig:
        """The same training in ``minutes``, shared as the stages' own minutes (else steps) are.

        Raises:
            SettingsError: not a positive number.
        """
        stages = self.stages
        parts = {name: s.minutes for name, s in stages.items() if s.minutes is not None}
        if len(parts) < len(stages):
            parts = {name: float(s.steps) for name, s in stages.items()}
        total = sum(parts.values())
        plain = self.model_dump()
        for name, part in parts.items():
            plain[name]["minutes"] = minutes * part / total
        return config_from(plain, "--minutes")


def _stages(config: TrainingConfig) -> dict[str, Stage]:
    return {"elements": config.elements, "bands": config.bands}


def load_config(path: str | Path) -> TrainingConfig:
    """Read and check a configuration; a relative ``data`` is meant from the file's folder.

    Raises:
        SettingsError: no such file, no YAML, or a key or value that is not accepted; names it.
    """
    path = Path(path)
    found = read_yaml(path, "configuration")
    config = config_from({} if found is None else found, path.name)
    if config.data is not None and not config.data.is_absolute():
        config = config.model_copy(update={"data": path.parent / config.data})
    return config


def config_from(given: dict[str, Any], name: str) -> TrainingConfig:
    """A configuration from plain data; ``name`` says in messages where it stands.

    Raises:
        SettingsError: a key or value that is not accepted.
    """
    return validated(TrainingConfig, given, name)
