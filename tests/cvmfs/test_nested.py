"""Nested catalogs on wish, in a repository that exists."""

from pathlib import Path

import pytest

from fondaco.cvmfs import nested, paths
from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.entry import NESTED_ROOT
from fondaco.cvmfs.errors import BadChange, NotInRepository, NotThatKind
from fondaco.cvmfs.transaction import Published
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import Place


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    """Twenty files in `/a` and `/b` each, which are cut off automatically, and two in `/small/below`."""
    place = Place(tmp_path / "r", key_folder.path, balance=Balance(maximum=30, minimum=10, merge_below=2)).create()
    for name, count in (("a", 20), ("b", 20), ("small/below", 2)):
        (tmp_path / "s" / name).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "s" / name / str(number)).write_bytes(b"x")
    place.publish(tmp_path / "s")
    return place


def change(place: Place, *paths_: str, wish: bool) -> Published | None:
    place.clock.now += 60
    with place.publisher.transaction() as transaction:
        for path in paths_:
            if wish:
                nested.split(transaction, path, mtime_ns=5)
            else:
                nested.merge(transaction, path)
        return transaction.commit()


def mountpoints(place: Place) -> set[str]:
    """Where catalogs begin; reading the tree asserts that each has its marker file and is referred to."""
    return {path for path, entry in place.tree().items() if entry.flags & NESTED_ROOT}


def files(place: Place) -> set[str]:
    return {path for path in place.tree() if not path.rpartition("/")[2].startswith(".cvmfs")}


def test_a_directory_gets_a_catalog_and_loses_it(place: Place) -> None:
    automatic, shown = mountpoints(place), files(place)
    assert len(automatic) == 1
    assert change(place, "/small", "/small/below", wish=True)
    assert mountpoints(place) == automatic | {"/small", "/small/below"}
    assert change(place, "/small", wish=True) is None
    assert change(place, "/small", "/small/below", wish=False)
    assert mountpoints(place) == automatic
    assert change(place, "/small", wish=False) is None
    assert files(place) == shown


def test_a_split_on_wish_is_the_users_from_then_on(place: Place) -> None:
    (automatic,) = mountpoints(place)
    assert f"{automatic}/{paths.AUTO_MARKER}" in place.tree()
    assert change(place, automatic, wish=True)
    assert f"{automatic}/{paths.AUTO_MARKER}" not in place.tree()
    assert mountpoints(place) == {automatic}


def test_a_catalog_that_would_be_cut_again_is_not_merged(place: Place) -> None:
    (automatic,) = mountpoints(place)
    with pytest.raises(BadChange, match="together they may have 30"):
        change(place, automatic, wish=False)
    assert mountpoints(place) == {automatic}


@pytest.mark.parametrize(
    ("path", "error"), [("", BadChange), ("/none", NotInRepository), ("/small/below/0", NotThatKind)]
)
@pytest.mark.parametrize("wish", [True, False])
def test_only_directories_below_the_root_can_be_named(
    place: Place, path: str, error: type[Exception], wish: bool
) -> None:
    with pytest.raises(error):
        change(place, path, wish=wish)
