"""Where to cut a catalog that has grown too large (pure).

The rule is that of cvmfs/catalog_balancer: walk the directories from the deepest up, and while one weighs more than the
limit, cut off its heaviest child. A directory that is cut off weighs 1, the row that stays in the parent catalog.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fondaco.cvmfs.paths import is_below, parent_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Sizes that automatic nested catalogs keep to."""

    maximum: int = 10_000  # rows; a catalog above it is cut (clients load whole catalogs, publishers rewrite them)
    minimum: int = 1_000  # rows; nothing smaller is cut off
    merge_below: int = 500  # rows; an automatic catalog smaller than this goes back into its parent

    def __post_init__(self) -> None:
        if not 0 < self.merge_below <= self.minimum <= self.maximum:
            raise ValueError("0 < merge_below <= minimum <= maximum must hold")


def cuts(top: str, directories: Iterable[tuple[str, int]], balance: Balance) -> list[str]:
    """The directories that become nested catalogs, deepest first.

    *top* is the catalog's mountpoint, *directories* every directory in it (the top included) with the number of its
    children that are no directories of this catalog (files, links, mountpoints).
    """
    weights = {path: leaves + 1 for path, leaves in directories}
    children: dict[str, list[str]] = {path: [] for path in weights}
    for path in weights:
        if is_below(path, top):
            children[parent_of(path)].append(path)
    chosen = []
    for path in sorted(weights, key=lambda path: (-path.count("/"), path)):
        weight = weights[path] + sum(weights[child] for child in children[path])
        for child in sorted(children[path], key=lambda child: (-weights[child], child)):
            if weight <= balance.maximum or weights[child] < balance.minimum:
                break
            chosen.append(child)
            weight -= weights[child] - 1
            weights[child] = 1
        weights[path] = weight
    return chosen
