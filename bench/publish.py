"""Publishing a folder as a whole process, beside the baseline on the same files in the same minute."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import baseline
from bench.measure import Cost, median, run, stored_bytes
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


def publish_once(tree: Tree, folder: Path) -> tuple[Cost, int]:
    """What a publish into a new repository takes, and the bytes that it stores."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    new_repository(folder)
    empty = stored_bytes(folder / "store" / "data")
    command: list[str | Path] = [
        *FONDACO,
        tree.folder,
        FQRN,
        "--store",
        folder / "store",
        "--keys",
        folder / "keys",
        "--json",
    ]
    cost = run(command, environment={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    return cost, stored_bytes(folder / "store" / "data") - empty


def baseline_once(tree: Tree, target: Path) -> tuple[Cost, int]:
    """What the baseline takes for the same files, and the bytes that it stores."""
    shutil.rmtree(target, ignore_errors=True)
    cost = run([sys.executable, "-I", "-S", baseline.__file__, tree.folder, target])
    return cost, stored_bytes(target)


def figures(tree: Tree, setting: Setting, *, wall: float, cpu: float) -> Sequence[Figure]:
    """Publish and baseline in turns, so that what else the machine does meets both; *wall*, *cpu*: the budgets."""
    ours, plain, sizes, plain_sizes = [], [], [], []
    for _ in range(setting.runs):
        cost, size = baseline_once(tree, setting.folder / "baseline")
        plain.append(cost)
        plain_sizes.append(size)
        cost, size = publish_once(tree, setting.folder)
        ours.append(cost)
        sizes.append(size)
    own, base = median(ours), median(plain)
    stored, plain_stored = sizes[-1], plain_sizes[-1]
    return (
        Figure(label="wall", value=own.wall, unit="s", budget=wall, ratio=own.wall / base.wall),
        Figure(label="CPU", value=own.cpu, unit="s", budget=cpu, ratio=own.cpu / base.cpu),
        Figure(label="peak memory", value=own.peak, unit="B", ratio=own.peak / base.peak),
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
