"""One changed file in a large repository, in a process that goes on running."""

import os
import time
from collections.abc import Sequence

from bench.measure import quantile
from bench.publish import new_repository
from bench.rows import Figure, Row, Setting
from bench.trees import Text, small_tree
from fondaco.cvmfs import entry
from fondaco.cvmfs.mirror import mirror

CHANGES = 40  # the first few open files and fill caches; the median does not see them
CHANGED = "/package042/module_17.py"


def one_of_many(setting: Setting) -> Sequence[Figure]:
    """Lock, load and verify the head, store the file, commit durably; each change is a revision."""
    publisher = new_repository(setting.folder)
    with publisher.transaction() as transaction:
        mirror(transaction, small_tree(setting.folder / "tree").folder)
        transaction.commit()
    text = Text(5)
    walls, cpus = [], []
    os.sync()
    for number in range(CHANGES):
        content = text.take(4_100)
        wall, cpu = time.perf_counter(), time.process_time()
        with publisher.transaction() as transaction:
            stored = transaction.store_whole(content)
            transaction.put(CHANGED, entry.regular("module_17.py", stored, mode=0o644, mtime_ns=number))
            transaction.commit()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return (
        Figure(label="wall p50", value=quantile(walls, 0.5), unit="s", budget=0.010),
        Figure(label="wall p95", value=quantile(walls, 0.95), unit="s"),
        Figure(label="CPU p50", value=quantile(cpus, 0.5), unit="s"),
    )


ROWS = (Row(name="change-one", title="change 1 file of 10,000 in a running process, durable", measure=one_of_many),)
