"""`fondaco cvmfs`: make, publish, read and check repositories, without root and without a service.

Each module has the commands of one concern as functions; nothing of the library is imported before a command runs.
"""

import typer

from fondaco.cli.cvmfs import tags
from fondaco.cli.cvmfs.check import check
from fondaco.cli.cvmfs.gc import gc
from fondaco.cli.cvmfs.history import diff, resign, rollback
from fondaco.cli.cvmfs.ingesting import ingest
from fondaco.cli.cvmfs.mount import mount
from fondaco.cli.cvmfs.nesting import merge, split
from fondaco.cli.cvmfs.publishing import mkfs, publish
from fondaco.cli.cvmfs.reading import cat, ls, stat
from fondaco.cli.cvmfs.replicate import replicate
from fondaco.cli.cvmfs.searching import du, find

app = typer.Typer(
    name="cvmfs",
    help="Make, publish, read and check CernVM-FS repositories.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

COMMANDS = (
    *(mkfs, publish, ingest, rollback, resign, split, merge),
    *(ls, cat, stat, find, du, diff, check, mount),
    *(gc, replicate),
)
for command in COMMANDS:
    app.command(command.__name__)(command)
app.add_typer(tags.app)
