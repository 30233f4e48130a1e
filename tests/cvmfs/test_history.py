import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import AlreadyExists, BadChange, BadName, MalformedData
from fondaco.cvmfs.history import History, Tag, automatic_tag, check_tag_name, rotate_trunk
from fondaco.cvmfs.manifest import parse_signed
from fondaco.cvmfs.sqlite_image import PROPERTIES_DDL, create_image, open_image
from tests.cvmfs.conftest import GoldenRepository

FQRN = "test.example.org"


def tag(name: str = "v1.0", revision: int = 1, **more: object) -> Tag:
    return replace(
        Tag(name=name, root=Digest.of(str(revision).encode()), revision=revision, timestamp=1000 + revision),
        **more,  # type: ignore[arg-type]  # one field of any type
    )


tags = st.builds(
    Tag,
    name=st.from_regex(r"[a-zA-Z0-9_./:-]{1,30}", fullmatch=True).filter(lambda name: not name.startswith("trunk")),
    root=st.builds(Digest, st.binary(min_size=20, max_size=20), st.sampled_from(Algorithm)),
    revision=st.integers(0, (1 << 63) - 1),
    timestamp=st.integers(0, (1 << 63) - 1),
    size=st.integers(0, (1 << 63) - 1),
    description=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40),
)


@pytest.fixture
def history() -> Iterator[History]:
    with closing(History.new(FQRN)) as new:
        yield new


@pytest.fixture
def reference(golden: GoldenRepository) -> Iterator[History]:
    digest = parse_signed((golden.root / ".cvmfspublished").read_bytes()).manifest.history
    stored = (golden.root / f"data/{str(digest)[:2]}/{str(digest)[2:]}H").read_bytes()
    with closing(History.load(zlib.decompress(stored))) as loaded:
        yield loaded


def schema_of(history: History) -> set[tuple[str, str]]:
    with closing(open_image(history.serialize(), "tag database")) as connection:
        return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def rows_of(history: History, sql: str) -> list[tuple[object, ...]]:
    with closing(open_image(history.serialize(), "tag database")) as connection:
        return connection.execute(sql).fetchall()


def test_tables_are_those_of_the_reference(history: History, reference: History) -> None:
    assert schema_of(history) == schema_of(reference)
    assert rows_of(history, "SELECT * FROM branches") == rows_of(reference, "SELECT * FROM branches") == [("", None, 0)]
    properties = "SELECT key, value, typeof(value) FROM properties WHERE key LIKE 'schema%' ORDER BY key"
    assert rows_of(history, properties) == rows_of(reference, properties)


def test_the_tags_of_the_reference_are_read(reference: History, golden: GoldenRepository) -> None:
    assert reference.fqrn == golden.fqrn
    assert [(found.name, found.revision, found.description) for found in reference.tags()] == [
        ("trunk", 3, "current HEAD"),
        ("v2.0", 3, "second"),
        ("trunk-previous", 2, "default undo target"),
        ("v1.0", 2, "first"),
        ("generic-2026-11-22T09:10:43Z", 1, ""),
    ]
    assert reference.find("v2.0") == Tag(
        name="v2.0",
        root=Digest.parse("4103a4e7466393021737011732fd99ef9ca96123"),
        revision=3,
        timestamp=1795338646,
        size=65536,
        description="second",
    )
    assert str(reference.previous_revision) == "988df029d9a915ae80a4c182482513c9dd223508"


def test_a_new_one_has_no_tags_and_no_predecessor(history: History) -> None:
    assert history.tags() == []
    assert history.find("v1.0") is None
    assert history.previous_revision is None
    assert history.fqrn == FQRN


@given(st.lists(tags, unique_by=lambda one: one.name, max_size=5))
def test_what_is_put_is_read_back(wanted: list[Tag]) -> None:
    with closing(History.new(FQRN)) as history:
        for one in wanted:
            history.put(one)
        with closing(History.load(history.serialize())) as read:
            assert sorted(read.tags(), key=lambda one: one.name) == sorted(wanted, key=lambda one: one.name)
            assert all(read.find(one.name) == one for one in wanted)


@given(st.lists(st.tuples(st.sampled_from(["put", "remove", "rotate"]), tags), max_size=8))
def test_equal_work_gives_equal_bytes(work: list[tuple[str, Tag]]) -> None:
    images = []
    for reload in (False, False, True):
        history = History.new(FQRN)
        for action, one in work:
            if action == "put":
                history.put(one)
            elif action == "remove":
                history.remove(one.name)
            else:
                rotate_trunk(history, one)
            if reload:
                history = History.load(history.serialize())
        images.append(history.serialize())
        history.close()
    assert images[0] == images[1]
    with closing(History.load(images[0])) as once, closing(History.load(images[2])) as reloaded:
        assert once.tags() == reloaded.tags()


def test_putting_a_tag_again_moves_it(history: History) -> None:
    history.put(tag(revision=1, description="old"))
    history.put(tag(revision=2))
    assert history.tags() == [tag(revision=2)]


def test_a_taken_name_is_found_out_beforehand(history: History) -> None:
    history.check_free("v1.0")
    history.put(tag())
    with pytest.raises(AlreadyExists, match=r"'v1\.0'"):
        history.check_free("v1.0")


def test_removing_says_whether_there_was_one(history: History) -> None:
    history.put(tag())
    assert history.remove("v1.0")
    assert not history.remove("v1.0")
    assert history.tags() == []


def test_trunk_moves_and_leaves_its_predecessor(history: History) -> None:
    rotate_trunk(history, tag("any", 1, description="not kept"))
    assert history.tags() == [tag("trunk", 1, description="current HEAD")]
    rotate_trunk(history, tag("any", 2))
    rotate_trunk(history, tag("any", 3))
    assert history.tags() == [
        tag("trunk", 3, description="current HEAD"),
        tag("trunk-previous", 2, description="default undo target"),
    ]


def test_the_tags_of_the_reference_rotate(reference: History) -> None:
    rotate_trunk(reference, tag("any", 4, timestamp=1795338647))
    assert [(found.name, found.revision) for found in reference.tags()][:3] == [
        ("trunk", 4),
        ("trunk-previous", 3),
        ("v2.0", 3),
    ]


def test_the_predecessor_is_recorded(history: History) -> None:
    digest = Digest.of(b"former", Algorithm.SHAKE128)
    history.previous_revision = digest
    assert history.previous_revision == digest
    history.previous_revision = None
    assert history.previous_revision is None
    stored = rows_of(history, "SELECT value FROM properties WHERE key = 'previous_revision'")
    assert stored == [("0" * 40,)]


def test_the_automatic_tag_is_named_after_the_time(history: History) -> None:
    named = automatic_tag(tag("any", 1, timestamp=1795338643, description="x"))
    assert named.name == "generic-2026-11-22T09:10:43Z"
    assert named.description == ""
    history.put(named)
    assert history.find(named.name) == named


@pytest.mark.parametrize("name", ["v1.0", "a/b:c_d-E.9", ".", "-", "generic-2026-11-22T09:10:43Z", "trunk2", "x" * 255])
def test_names_that_the_reference_takes(name: str) -> None:
    assert check_tag_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "trunk", "trunk-previous", "two words", "tag\n", "ä", "a@b", "a\0", "\u0661", "x" * 256, "\ud800"]
)
def test_other_names_are_refused(history: History, name: str) -> None:
    for refused in (check_tag_name, history.check_free, history.remove, lambda name: history.put(tag(name))):
        with pytest.raises(BadName):
            refused(name)
    assert history.tags() == []
    assert history.find(name) is None


@pytest.mark.parametrize(
    "change",
    [
        {"revision": -1},
        {"revision": 1 << 63},
        {"timestamp": 1 << 64},
        {"size": -1},
        {"description": "a\0b"},
        {"description": "\ud800"},
    ],
)
def test_values_that_cannot_be_stored_are_refused(history: History, change: dict[str, object]) -> None:
    with pytest.raises(BadChange):
        history.put(tag(**change))
    assert history.tags() == []


def test_bytes_of_a_foreign_description_survive(history: History) -> None:
    history.put(tag(description="caf\udce9"))
    assert rows_of(history, "SELECT CAST(description AS BLOB) FROM tags") == [(b"caf\xe9",)]
    with closing(History.load(history.serialize())) as read:
        assert read.find("v1.0") == tag(description="caf\udce9")


def test_abandoned_branches_are_dropped_and_their_children_handed_up(history: History) -> None:
    connection = open_image(history.serialize(), "tag database")
    connection.execute("INSERT INTO branches VALUES ('c@', 'b@', 3), ('b@', 'a@', 2), ('a@', '', 1), ('d@', 'c@', 4)")
    insert = "INSERT INTO tags VALUES (?, ?, 1, 1, 0, '', 0, ?)"
    connection.executemany(insert, [("on-a", "0" * 40, "a@"), ("on-d", "0" * 40, "d@"), ("main", "0" * 40, "")])
    with closing(connection), closing(History.load(connection.serialize())) as branched:
        branched.put(tag("on-main"))
        left = rows_of(branched, "SELECT branch, parent FROM branches ORDER BY branch")
        assert left == [("", None), ("a@", ""), ("d@", "a@")]
        branched.remove("on-a")
        assert rows_of(branched, "SELECT branch, parent FROM branches ORDER BY branch") == [("", None), ("d@", "")]


OLD_TAGS = (
    "CREATE TABLE tags (name TEXT, hash TEXT, revision INTEGER, timestamp INTEGER, channel INTEGER, description TEXT%s,"
    " CONSTRAINT pk_tags PRIMARY KEY (name))"
)


@pytest.mark.parametrize("revision", [None, 0, 1, 2])
def test_older_databases_are_brought_up_to_date(history: History, revision: int | None) -> None:
    old_tables = [PROPERTIES_DDL, OLD_TAGS % (", size INTEGER" if revision else "")]
    if revision == 2:
        old_tables.append("CREATE TABLE recycle_bin (hash TEXT, flags INTEGER)")
        old_tables.append("INSERT INTO recycle_bin VALUES ('b', 1)")
    with closing(create_image(old_tables)) as connection:
        properties = {"schema": "1.0", "fqrn": FQRN} | ({} if revision is None else {"schema_revision": str(revision)})
        connection.executemany("INSERT INTO properties VALUES (?, ?)", properties.items())
        columns = "INSERT INTO tags (name, hash, revision, timestamp, channel) VALUES ('old', ?, 1, 2, 64)"
        connection.execute(columns, ("a" * 40,))
        image = connection.serialize()
    with closing(History.load(image)) as old:
        assert old.tags() == [Tag(name="old", root=Digest.parse("a" * 40), revision=1, timestamp=2)]
        rotate_trunk(old, tag("any", 2))
        assert rows_of(old, "SELECT count(*) FROM recycle_bin") == [(0,)]
        assert rows_of(old, "SELECT branch, size FROM tags WHERE name = 'trunk'") == [("", 0)]
        assert rows_of(old, "SELECT value FROM properties WHERE key = 'schema_revision'") == [("3",)]
        with closing(History.load(old.serialize())) as again:
            assert [found.name for found in again.tags()] == ["trunk", "old"]


GOOD_ROW = ("x", "a" * 40, 1, 1, 0, "", 0, "")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, None),
        (1, None),
        (1, "nonsense"),
        (1, "a" * 40 + "C"),
        (2, "many"),
        (3, None),
        (3, 1.5),
        (2, -1),
        (5, b"\0"),
        (6, "big"),
    ],
)
def test_a_row_with_wrong_values_is_malformed(history: History, column: int, value: object) -> None:
    row = (*GOOD_ROW[:column], value, *GOOD_ROW[column + 1 :])
    with closing(open_image(history.serialize(), "tag database")) as connection:
        connection.execute("INSERT INTO tags VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        image = connection.serialize()
    with closing(History.load(image)) as read, pytest.raises(MalformedData):
        read.tags()


@given(st.binary(max_size=300))
def test_any_bytes_are_malformed(image: bytes) -> None:
    with pytest.raises(MalformedData):
        History.load(image)


@given(edits=st.lists(st.tuples(st.integers(0, 10_000_000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6))
def test_a_damaged_image_is_read_or_malformed(edits: list[tuple[int, bytes]]) -> None:
    with closing(History.new(FQRN)) as good:
        good.put(tag())
        rotate_trunk(good, tag("any", 2))
        image = bytearray(good.serialize())
    for place, new in edits:
        at = place % (len(image) - len(new))
        image[at : at + len(new)] = new
    with suppress(MalformedData), closing(History.load(bytes(image))) as damaged:
        _use(damaged)


def _use(history: History) -> None:
    """Everything that a publisher does with it; only MalformedData may come out."""
    assert all(isinstance(found, Tag) for found in history.tags())
    assert isinstance(history.previous_revision, Digest | None)
    history.find("v1.0")
    rotate_trunk(history, tag("any", 3))
    history.put(tag("v3"))
    history.remove("v1.0")
    history.previous_revision = Digest.of(b"")
    assert history.serialize()


def test_a_closed_database_is_a_defect_of_the_caller() -> None:
    history = History.new(FQRN)
    history.close()
    with pytest.raises(sqlite3.ProgrammingError):
        history.serialize()
