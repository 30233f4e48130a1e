"""`fondaco cvmfs`: make, publish, read and check repositories, without root and without a service.

Each module has the commands of one concern as functions; nothing of the library is imported before a command runs.
"""

import typer

from fondaco.cli.cvmfs.check import check
from fondaco.cli.cvmfs.mount import mount
from fondaco.cli.cvmfs.publishing import mkfs, publish
from fondaco.cli.cvmfs.reading import cat, ls, stat

app = typer.Typer(
    name="cvmfs",
    help="Make, publish, read and check CernVM-FS repositories.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

for command in (mkfs, publish, ls, cat, stat, check, mount):
    app.command(command.__name__)(command)
