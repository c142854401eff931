"""``hamexplorer info``: what a structure or a saved Hamiltonian is."""

from __future__ import annotations

from typing import Any

from hamexplorer.cli.inputs import load_input
from hamexplorer.cli.options import Given, Json, Reading, with_groups
from hamexplorer.cli.output import print_json
from hamexplorer.cli.report import (
    hamiltonian_data,
    hamiltonian_table,
    show,
    structure_data,
    structure_table,
)
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import HamexplorerError

__all__ = ["info"]


@with_groups
def info(given: Given, json: Json = False, *, reading: Reading) -> None:
    """Tell what a structure is and what computing it would take, or what a file holds."""
    set_threads(None)
    from hamexplorer.hamiltonian import Hamiltonian

    loaded = load_input(given, options=reading.options())
    if isinstance(loaded, Hamiltonian):
        data = {"kind": "hamiltonian", **structure_data(loaded.structure)}
        if json:
            print_json({**data, **hamiltonian_data(loaded)})
            return
        show(structure_table(loaded.structure))
        show(hamiltonian_table(loaded))
        return
    cost, superposed = _cost(loaded, "dft"), _cost(loaded, "superposed")
    if json:
        data = {"kind": "structure", **structure_data(loaded)}
        print_json({**data, "dft": cost, "superposed": superposed})
        return
    show(structure_table(loaded))
    if "refused" in cost:
        print(f"The DFT engine refuses it: {cost['refused']}")
    else:
        print(
            f"DFT estimate: {cost['seconds']:.0f} s, {cost['memory_bytes'] / 1e9:.1f} GB "
            f"({cost['description']})"
        )
    if "refused" not in superposed:
        print(f"--source superposed, an approximation: {superposed['description']}")


def _cost(structure: Any, source_name: str) -> dict[str, Any]:
    """The source's estimate, or why it would refuse: both are worth knowing here."""
    from hamexplorer.sources import make_source

    source = make_source(source_name)
    try:
        source.check(structure)
        cost = source.estimate(structure)
    except HamexplorerError as error:
        return {"refused": str(error)}
    return {
        "seconds": cost.seconds,
        "memory_bytes": cost.memory_bytes,
        "description": cost.description,
    }
