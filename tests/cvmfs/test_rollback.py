"""Publishing an old tree as the newest revision."""

from pathlib import Path

import pytest

from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.catalog.database import CatalogDatabase
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.errors import BadChange, NotInRepository
from fondaco.cvmfs.head import Head
from fondaco.cvmfs.history import TRUNK, TRUNK_PREVIOUS, Tag
from fondaco.cvmfs.reflog import RefKind
from fondaco.cvmfs.rollback import roll_back
from fondaco.cvmfs.tagging import add_tags
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import Place


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    """Revisions 2 to 5 with the file f holding 2 to 5; tags v2, v3, v5."""
    made = Place(tmp_path / "repository", key_folder.path, balance=Balance(maximum=8, minimum=3, merge_below=2))
    made.create()
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for number in range(9):
        (source / f"deep/g{number}").write_bytes(b"g")
    for number in range(2, 6):
        (source / "f").write_bytes(b"%d" % number)
        (source / f"only{number}").write_bytes(b"")
        made.publish(source, tag=f"v{number}" if number != 4 else None)
    return made


def head(place: Place) -> Head:
    with place.publisher.held() as held:
        return held


def tags(place: Place) -> dict[str, Tag]:
    return {tag.name: tag for tag in head(place).history.tags()}


def shown(place: Place) -> dict[str, Entry]:
    return place.tree()


def content(place: Place) -> bytes:
    return place.content(shown(place)["/f"])


def test_the_old_tree_is_the_new_revision(place: Place) -> None:
    before, root = shown(place), place.manifest().root_catalog
    place.clock.now += 60
    done = roll_back(place.publisher, "v3")
    manifest = place.manifest()
    assert (done.revision, manifest.revision, done.target.revision) == (6, 6, 3)
    assert manifest.root_catalog == done.root
    assert content(place) == b"3"
    assert before.keys() - shown(place).keys() == {"/only4", "/only5"}
    catalog = CatalogDatabase.load(image := place.image(done.root, Suffix.CATALOG))
    properties = catalog.properties()
    assert (properties["revision"], properties["previous_revision"]) == ("6", str(root))
    assert properties["last_modified"] == str(manifest.published_at) == str(int(place.clock.now))
    assert (manifest.root_catalog_size, manifest.ttl) == (len(image), int(properties["TTL"]))
    assert head(place).reflog.contains(RefKind.CATALOG, done.root)


def test_only_the_root_catalog_is_written_anew(place: Place) -> None:
    before = place.objects()
    roll_back(place.publisher, "v2")
    assert sorted(key[-1] for key in place.objects() - before) == ["C", "H"]


def test_newer_tags_go_and_the_named_one_moves(place: Place) -> None:
    done = roll_back(place.publisher, "v3")
    assert [tag.name for tag in done.removed] == ["v5"]
    now = tags(place)
    assert now.keys() == {"v2", "v3", TRUNK}, "as with the reference tools, there is nothing to undo"
    assert now["v3"].root == now[TRUNK].root == done.root
    assert (now["v3"].revision, now["v2"].revision) == (6, 2)
    with pytest.raises(NotInRepository, match="trunk-previous"):
        roll_back(place.publisher)


def test_tags_can_be_kept_and_then_it_can_be_undone(place: Place) -> None:
    before = tags(place)
    roll_back(place.publisher, "v2", keep_tags=True)
    after = tags(place)
    assert {name: after[name] for name in ("v2", "v3", "v5")} == {name: before[name] for name in ("v2", "v3", "v5")}
    assert after[TRUNK_PREVIOUS].root == before[TRUNK].root
    roll_back(place.publisher, keep_tags=True)
    assert content(place) == b"5"
    assert place.manifest().revision == 7


def test_without_a_name_the_last_publish_is_undone(place: Place) -> None:
    done = roll_back(place.publisher)
    assert content(place) == b"4"
    assert done.target.name == ""
    assert tags(place).keys() == {"v2", "v3", TRUNK}


def test_a_number_or_a_hash_names_a_revision_and_moves_no_tag(place: Place) -> None:
    roots = {name: tag.root for name, tag in tags(place).items()}
    assert roll_back(place.publisher, "4", keep_tags=True).target.root == roots[TRUNK_PREVIOUS]
    assert content(place) == b"4"
    roll_back(place.publisher, str(roots["v3"]))
    assert content(place) == b"3"
    assert tags(place)["v3"].root == roots["v3"]


@pytest.mark.parametrize("named", ["5", "trunk", "v5"])
def test_the_current_revision_is_refused(place: Place, named: str) -> None:
    before = place.manifest()
    with pytest.raises(BadChange, match="revision 5 is current"):
        roll_back(place.publisher, named)
    assert place.manifest() == before


@pytest.mark.parametrize("named", ["none", "99", str(Digest(b"n" * 20))])
def test_what_is_not_there_is_refused(place: Place, named: str) -> None:
    with pytest.raises(NotInRepository):
        roll_back(place.publisher, named)
    assert place.manifest().revision == 5


def test_a_catalog_that_was_never_published_as_root_is_refused(place: Place) -> None:
    """An object that somebody put there, with a hash that fits, is still nothing that this repository was."""
    stray = CatalogDatabase.load(place.image(place.manifest().root_catalog, Suffix.CATALOG))
    stray.connection.execute("UPDATE properties SET value = 1 WHERE key = 'revision'")
    with place.publisher.held() as held:
        digest = place.publisher.recorder(held).objects.write_object(stray.connection.serialize(), Suffix.CATALOG)
    for act in (
        lambda: roll_back(place.publisher, str(digest)),
        lambda: add_tags(place.publisher, ["x"], at=str(digest)),
    ):
        with pytest.raises(NotInRepository, match="never published"):
            act()


def test_publishing_goes_on_after_a_rollback(place: Place, tmp_path: Path) -> None:
    roll_back(place.publisher, "v2")
    place.publish(tmp_path / "source")
    assert place.manifest().revision == 7
    assert content(place) == b"5"
    assert tags(place)[TRUNK_PREVIOUS].revision == 6
