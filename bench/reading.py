"""Checking and listing, as whole processes, and one change in a repository of 1,000,000 files."""

import os
import sys
import time
from collections.abc import Sequence

from bench.measure import median, peak_memory, quantile, run
from bench.publish import FQRN, new_repository, new_store, publish_command
from bench.rows import Figure, Row, Setting
from bench.trees import mixed_tree
from fondaco.cvmfs import entry
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.stores.local import LocalStore

FONDACO = (sys.executable, "-m", "fondaco", "cvmfs")
CHANGES = 20


def check_content(setting: Setting) -> Sequence[Figure]:
    """Every object of 500 MB read and compared with its hash, row and chunk."""
    folder = setting.folder
    store = new_store(folder, "zlib")
    run(publish_command(mixed_tree(folder / "tree"), folder, store))
    command = [*FONDACO, "check", store, "--pubkey", folder / "keys" / f"{FQRN}.pub", "--content"]
    costs = median([run(command) for _ in range(setting.runs)])
    return (
        Figure(label="wall", value=costs.wall, unit="s", budget=3),
        Figure(label="CPU", value=costs.cpu, unit="s"),
        Figure(label="peak memory", value=peak_memory(command), unit="B"),
    )


def million(setting: Setting) -> Sequence[Figure]:
    """1,000,000 rows in 1,000 directories: listed, checked, and one of them changed, durable."""
    publisher = new_repository(setting.folder)
    _fill(publisher)
    assert isinstance(publisher.store, LocalStore)
    reading = (publisher.store.root, "--pubkey", setting.folder / "keys" / f"{FQRN}.pub")
    listing = [*FONDACO, "ls", "-R", *reading]
    checking = [*FONDACO, "check", *reading]
    changes = [_change(publisher, number) for number in range(CHANGES)]
    return (
        Figure(label="ls -R wall", value=median([run(listing) for _ in range(setting.runs)]).wall, unit="s", budget=10),
        Figure(label="ls -R peak memory", value=peak_memory(listing), unit="B"),
        Figure(label="check wall", value=run(checking).wall, unit="s"),
        Figure(label="check peak memory", value=peak_memory(checking), unit="B"),
        Figure(label="change 1 file, wall p50", value=quantile(changes, 0.5), unit="s", budget=0.050),
    )


def _fill(publisher: Publisher) -> None:
    with publisher.transaction() as transaction:
        content = transaction.store_whole(b"the same in each")
        for folder in range(1_000):
            for file in range(1_000):
                name = f"module_{file:03d}.py"
                path = f"/package{folder // 100}/part{folder % 100:02d}/{name}"
                transaction.put(path, entry.regular(name, content, mode=0o644, mtime_ns=file))
        transaction.commit()
    os.sync()


def _change(publisher: Publisher, number: int) -> float:
    began = time.perf_counter()
    with publisher.transaction() as transaction:
        content = transaction.store_whole(b"%d" % number)
        changed = entry.regular("module_500.py", content, mode=0o644, mtime_ns=number)
        transaction.put("/package5/part50/module_500.py", changed)
        transaction.commit()
    return time.perf_counter() - began


ROWS = (
    Row(name="check-content", title="check --content of 2,102 files (500 MB): whole process", measure=check_content),
    Row(name="million", title="a repository of 1,000,000 files", measure=million, long=True),
)
