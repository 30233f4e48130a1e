"""Publishing onto S3 on this machine, beside the same into a folder: whole processes, in turns."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.measure import median, run
from bench.publish import FQRN, new_store, publish_command
from bench.rows import Figure, Row, Setting
from bench.trees import Tree, mixed_tree, small_tree
from fondaco.local.weed import SeaweedFS

_MAKE = (sys.executable, "-m", "fondaco", "cvmfs", "mkfs", FQRN)


def _beside_a_folder(make: Callable[[Path], Tree], codec: str, setting: Setting) -> Sequence[Figure]:
    folder = setting.folder
    tree = make(folder / "tree")
    stores = [new_store(folder, codec) for _ in range(setting.runs)]
    local, remote = [], []
    with SeaweedFS(folder / "s3", buckets=["bench"]) as weed:
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": weed.access_key,
            "AWS_SECRET_ACCESS_KEY": weed.secret_key,
            "AWS_ENDPOINT_URL": weed.endpoint,
        }
        for number, store in enumerate(stores):
            local.append(run(publish_command(tree, folder, str(store))))
            address = f"s3://bench/{number}"
            run(
                [*_MAKE, "--store", address, "--keys", folder / "keys", "--compression", codec], environment=environment
            )
            remote.append(run(publish_command(tree, folder, address), environment=environment))
    ours, base = median(remote), median(local)
    return (
        Figure(label="wall", value=ours.wall, unit="s", budget=1.5 * base.wall),
        Figure(label="CPU", value=ours.cpu, unit="s"),
        Figure(label="folder wall", value=base.wall, unit="s"),
        Figure(label="folder CPU", value=base.cpu, unit="s"),
    )


ROWS = (
    Row(
        name="publish-s3-small",
        title="publish 10,000 small files (41 MB) onto S3 (SeaweedFS on this machine, same cores), zlib",
        measure=lambda setting: _beside_a_folder(small_tree, "zlib", setting),
    ),
    Row(
        name="publish-s3-mixed",
        title="publish 2,102 files (500 MB) onto S3 (SeaweedFS on this machine, same cores), libdeflate",
        measure=lambda setting: _beside_a_folder(mixed_tree, "deflate", setting),
    ),
)
