"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="AWS_ENDPOINT_URL",
        help="Address of the S3 service, for s3:// addresses that are not AWS.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines, errors too.")]
Keys = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the key files FQRN.key .crt .masterkey .pub.")]
PublicKey = Annotated[
    Path, typer.Option("--pubkey", metavar="FILE", help="The repository's public key (or a folder of several).")
]
StoreUrl = Annotated[
    str, typer.Option("--store", metavar="URL", help="Where the repository lies: file:///folder or s3://bucket/prefix.")
]
Tag = Annotated[str | None, typer.Option(metavar="NAME", help="Look at this tag instead of the newest revision.")]
