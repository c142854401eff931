"""The commands and their order in the help text; each lives in a module of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from hamexplorer.cli import (
    app_command,
    atoms,
    atoms_fit,
    bands,
    build,
    cache,
    compare,
    compute,
    convert,
    dataset,
    gallery,
    info,
    mae,
    model,
    train,
    valley,
)

__all__ = ["application"]

application = typer.Typer(
    name="hamexplorer",
    help="Drop a crystal structure, see what spin-orbit coupling does to it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from hamexplorer.provenance import package_versions

        print(package_versions()["hamexplorer"])
        raise typer.Exit


@application.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


application.command("app")(app_command.app)
application.command("compute")(compute.compute)
application.command("bands")(bands.bands)
application.command("valley")(valley.valley)
application.command("mae")(mae.mae)
application.command("compare")(compare.compare)
application.command("convert")(convert.convert)
application.command("info")(info.info)
application.command("gallery")(gallery.gallery)
application.add_typer(build.application, name="build")
application.add_typer(model.application, name="model")
application.add_typer(train.application, name="train")
application.add_typer(dataset.application, name="dataset")
atoms.application.command("fit")(atoms_fit.fit)
application.add_typer(atoms.application, name="atoms")
application.add_typer(cache.application, name="cache")
