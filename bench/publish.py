"""Publishing a folder as a whole process, beside the baseline on the same files in the same minute."""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import baseline
from bench.measure import median, peak_memory, run, stored_bytes
from bench.rows import Figure, Row, Setting
from bench.trees import Tree, mixed_tree, small_tree
from fondaco.cvmfs import keys as key_files
from fondaco.cvmfs.keys import KeyFileSigner
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.stores.local import LocalStore

FQRN = "bench.example.org"
FONDACO = (sys.executable, "-m", "fondaco", "cvmfs", "publish")


def new_repository(folder: Path) -> Publisher:
    """An empty repository in `folder/store`, its keys in `folder/keys`."""
    keys = folder / "keys"
    if not keys.exists():
        key_files.generate(keys, FQRN)
    signer = KeyFileSigner(keys, FQRN)
    store = LocalStore.create(folder / "store")
    publisher = Publisher(store=store, fqrn=FQRN, signer=signer, public_keys=(signer.public_key,))
    publisher.create(signer)
    return publisher


def publish_command(tree: Tree, folder: Path) -> list[str | Path]:
    """Publishes the tree into a new repository, which is made here."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    new_repository(folder)
    return [*FONDACO, tree.folder, FQRN, "--store", folder / "store", "--keys", folder / "keys", "--json"]


def baseline_command(tree: Tree, folder: Path) -> list[str | Path]:
    """Does the baseline's work on the tree, into a new folder."""
    shutil.rmtree(folder / "baseline", ignore_errors=True)
    return [sys.executable, "-I", "-S", baseline.__file__, tree.folder, folder / "baseline"]


def figures(tree: Tree, setting: Setting, *, wall: float, cpu: float) -> Sequence[Figure]:
    """Publish and baseline in turns, so that what else the machine does meets both; *wall*, *cpu*: the budgets."""
    ours, plain = [], []
    folder = setting.folder
    for _ in range(setting.runs):
        plain.append(run(baseline_command(tree, folder)))
        ours.append(run(publish_command(tree, folder)))
    own, base = median(ours), median(plain)
    stored, plain_stored = stored_bytes(folder / "store" / "data"), stored_bytes(folder / "baseline")
    peak = peak_memory(publish_command(tree, folder))
    return (
        Figure(label="wall", value=own.wall, unit="s", budget=wall, ratio=own.wall / base.wall),
        Figure(label="CPU", value=own.cpu, unit="s", budget=cpu, ratio=own.cpu / base.cpu),
        Figure(label="peak memory", value=peak, unit="B"),
        Figure(label="stored", value=stored, unit="B", ratio=stored / plain_stored),
        Figure(label="baseline wall", value=base.wall, unit="s"),
        Figure(label="baseline CPU", value=base.cpu, unit="s"),
    )


def _row(make: Callable[[Path], Tree], *, wall: float, cpu: float) -> Callable[[Setting], Sequence[Figure]]:
    return lambda setting: figures(make(setting.folder / "tree"), setting, wall=wall, cpu=cpu)


ROWS = (
    Row(
        name="publish-small",
        title="publish 10,000 small files (41 MB) from a folder: whole process, durable",
        measure=_row(small_tree, wall=0.9, cpu=1.3),
    ),
    Row(
        name="publish-mixed",
        title="publish 2,102 files (500 MB, two of 55 MB) from a folder: whole process, durable",
        measure=_row(mixed_tree, wall=3.3, cpu=6.2),
    ),
)
