"""Publishing a folder as a whole process, beside the baseline on the same files in the same minute."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import baseline
from bench.measure import median, peak_memory, run, stored_bytes
from bench.rows import Figure, Row, Setting
from bench.trees import Tree, mixed_tree, small_tree
from fondaco.cvmfs import keys as key_files
from fondaco.cvmfs.codec import DEFAULT_CODEC
from fondaco.cvmfs.keys import KeyFileSigner
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.stores.local import LocalStore

FQRN = "bench.example.org"
FONDACO = (sys.executable, "-m", "fondaco", "cvmfs", "publish")


def new_repository(folder: Path, codec: str = DEFAULT_CODEC) -> Publisher:
    """An empty repository in a new folder below *folder*, its keys in `folder/keys`."""
    keys = folder / "keys"
    if not keys.exists():
        key_files.generate(keys, FQRN)
    signer = KeyFileSigner(keys, FQRN)
    store = LocalStore.create(new_folder(folder))
    publisher = Publisher(store=store, fqrn=FQRN, signer=signer, public_keys=(signer.public_key,))
    publisher.create(signer, codec=codec)
    return publisher


def new_folder(folder: Path) -> Path:
    """An empty folder below *folder*.

    Nothing is removed while rows are measured: on ext4 with `discard` the files that another process makes in the
    seconds after 10,000 were removed take up to ten times the system time (4 s instead of 0.45 s, 2 cores).
    """
    return Path(tempfile.mkdtemp(dir=folder))


def publish_command(tree: Tree, folder: Path, store: Path | str) -> list[str | Path]:
    """Publishes the tree into a repository."""
    return [*FONDACO, tree.folder, FQRN, "--store", store, "--keys", folder / "keys", "--json"]


def baseline_command(tree: Tree, target: Path) -> list[str | Path]:
    """Does the baseline's work on the tree, into an empty folder."""
    return [sys.executable, "-I", "-S", baseline.__file__, tree.folder, target]


def figures(tree: Tree, setting: Setting, codec: str, *, wall: float | None, cpu: float | None) -> Sequence[Figure]:
    """Publish and baseline in turns, so that what else the machine does meets both; *wall*, *cpu*: the budgets."""
    folder = setting.folder
    targets = [(new_folder(folder), new_store(folder, codec)) for _ in range(setting.runs)]
    ours, plain = [], []
    for target, store in targets:
        plain.append(run(baseline_command(tree, target)))
        ours.append(run(publish_command(tree, folder, store)))
    target, store = targets[-1]
    own, base = median(ours), median(plain)
    stored, plain_stored = stored_bytes(store / "data"), stored_bytes(target)
    peak = peak_memory(publish_command(tree, folder, new_store(folder, codec)))
    return (
        Figure(label="wall", value=own.wall, unit="s", budget=wall, ratio=own.wall / base.wall),
        Figure(label="CPU", value=own.cpu, unit="s", budget=cpu, ratio=own.cpu / base.cpu),
        Figure(label="peak memory", value=peak, unit="B"),
        Figure(label="stored", value=stored, unit="B", ratio=stored / plain_stored),
        Figure(label="baseline wall", value=base.wall, unit="s"),
        Figure(label="baseline CPU", value=base.cpu, unit="s"),
    )


def new_store(folder: Path, codec: str) -> Path:
    """The folder of a new, empty repository."""
    store = new_repository(folder, codec).store
    assert isinstance(store, LocalStore)
    return store.root


def _row(
    make: Callable[[Path], Tree], codec: str, *, wall: float | None = None, cpu: float | None = None
) -> Callable[[Setting], Sequence[Figure]]:
    return lambda setting: figures(make(setting.folder / "tree"), setting, codec, wall=wall, cpu=cpu)


_SMALL = "publish 10,000 small files (41 MB) from a folder: whole process, durable"
_MIXED = "publish 2,102 files (500 MB, two of 55 MB) from a folder: whole process, durable"

# The budgets are those of the codec of the same size as zlib and of the fast one: zlib itself takes longer than them.
ROWS = (
    Row(name="publish-small", title=f"{_SMALL}, zlib", measure=_row(small_tree, "zlib", wall=2.0)),
    Row(
        name="publish-small-deflate",
        title=f"{_SMALL}, libdeflate",
        measure=_row(small_tree, "deflate", wall=0.9, cpu=1.3),
    ),
    Row(name="publish-small-fast", title=f"{_SMALL}, ISA-L", measure=_row(small_tree, "fast", wall=0.9, cpu=1.3)),
    Row(name="publish-mixed", title=f"{_MIXED}, zlib", measure=_row(mixed_tree, "zlib")),
    Row(
        name="publish-mixed-deflate",
        title=f"{_MIXED}, libdeflate",
        measure=_row(mixed_tree, "deflate", wall=3.3, cpu=6.2),
    ),
    Row(name="publish-mixed-fast", title=f"{_MIXED}, ISA-L", measure=_row(mixed_tree, "fast", wall=1.8)),
)
