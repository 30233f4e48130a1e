from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Algorithm, Digest, object_key
from fondaco.cvmfs.errors import BadChange, MalformedData
from fondaco.cvmfs.manifest import parse_signed
from fondaco.cvmfs.reflog import Reference, RefKind, Reflog
from fondaco.cvmfs.sqlite_image import open_image
from tests.cvmfs.conftest import GoldenRepository

FQRN = "test.example.org"
ONE, TWO = Digest.of(b"one"), Digest.of(b"two", Algorithm.SHAKE128)

references = st.builds(
    Reference,
    kind=st.sampled_from(RefKind),
    digest=st.builds(Digest, st.binary(min_size=20, max_size=20), st.sampled_from(Algorithm)),
    timestamp=st.integers(0, (1 << 63) - 1),
)


@pytest.fixture
def reflog() -> Iterator[Reflog]:
    with closing(Reflog.new(FQRN)) as new:
        yield new


@pytest.fixture
def reference(golden: GoldenRepository) -> Iterator[Reflog]:
    with closing(Reflog.load((golden.root / ".cvmfsreflog").read_bytes())) as loaded:
        yield loaded


def rows_of(reflog: Reflog, sql: str) -> list[tuple[object, ...]]:
    with closing(open_image(reflog.serialize(), "reference log")) as connection:
        return connection.execute(sql).fetchall()


def test_tables_and_properties_are_those_of_the_reference(reflog: Reflog, reference: Reflog) -> None:
    for sql in (
        "SELECT name, sql FROM sqlite_master ORDER BY name",
        "SELECT key, value, typeof(value) FROM properties WHERE key <> 'fqrn' ORDER BY key",
    ):
        assert rows_of(reflog, sql) == rows_of(reference, sql)


def test_the_log_of_the_reference_is_read(reference: Reflog, golden: GoldenRepository) -> None:
    manifest = parse_signed((golden.root / ".cvmfspublished").read_bytes()).manifest
    found = reference.refs()
    assert [one.kind for one in found] == [0, 0, 2, 0, 2, 0, 1, 2, 3]
    assert found[-1] == Reference(kind=RefKind.METAINFO, digest=manifest.metainfo or ONE, timestamp=1795338646)
    assert reference.contains(RefKind.CATALOG, manifest.root_catalog)
    assert reference.contains(RefKind.CERTIFICATE, manifest.certificate)
    assert not reference.contains(RefKind.HISTORY, manifest.certificate)
    assert reference.fqrn == golden.fqrn


def test_every_object_of_the_log_of_the_reference_lies_where_its_kind_says(
    reference: Reflog, golden: GoldenRepository
) -> None:
    keys = [object_key(one.digest, one.kind.suffix) for one in reference.refs()]
    assert keys
    assert [key for key in keys if not (golden.root / key).exists()] == []


def test_the_manifest_of_the_reference_has_the_hash_of_its_plain_bytes(
    reference: Reflog, golden: GoldenRepository
) -> None:
    manifest = parse_signed((golden.root / ".cvmfspublished").read_bytes()).manifest
    assert Digest.of(reference.serialize()) == manifest.reflog


@given(st.lists(references, max_size=6))
def test_what_is_added_is_read_back_and_equal_work_gives_equal_bytes(wanted: list[Reference]) -> None:
    images = []
    for _ in range(2):
        with closing(Reflog.new(FQRN)) as reflog:
            for one in wanted:
                reflog.add(one.kind, one.digest, one.timestamp)
            images.append(reflog.serialize())
    assert images[0] == images[1]
    last = {one.digest: one for one in wanted}
    with closing(Reflog.load(images[0])) as read:
        assert read.refs() == list(last.values())
        assert all(read.contains(one.kind, one.digest) for one in last.values())


def test_adding_again_moves_the_time(reflog: Reflog) -> None:
    reflog.add(RefKind.CERTIFICATE, ONE, 1)
    reflog.add(RefKind.CATALOG, TWO, 2)
    reflog.add(RefKind.CERTIFICATE, ONE, 3)
    assert reflog.refs() == [
        Reference(kind=RefKind.CERTIFICATE, digest=ONE, timestamp=3),
        Reference(kind=RefKind.CATALOG, digest=TWO, timestamp=2),
    ]


def test_hashes_are_stored_without_type_suffix(reflog: Reflog) -> None:
    reflog.add(RefKind.CATALOG, TWO, 5)
    assert rows_of(reflog, "SELECT hash, type, timestamp FROM refs") == [(str(TWO), 0, 5)]


def test_the_header_announces_no_write_ahead_log(reflog: Reflog) -> None:
    """The reference tools open it read-write and abort on one."""
    reflog.add(RefKind.CATALOG, ONE, 1)
    assert reflog.serialize()[18:20] == b"\1\1"


def test_a_log_left_with_a_write_ahead_log_is_refused(reflog: Reflog) -> None:
    image = reflog.serialize()
    with pytest.raises(MalformedData, match="write-ahead log"):
        Reflog.load(image[:18] + b"\2\2" + image[20:])


@pytest.mark.parametrize("timestamp", [-1, 1 << 63])
def test_a_time_that_cannot_be_stored_is_refused(reflog: Reflog, timestamp: int) -> None:
    with pytest.raises(BadChange):
        reflog.add(RefKind.CATALOG, ONE, timestamp)
    assert reflog.refs() == []


@pytest.mark.parametrize(
    "row",
    [
        ("a" * 40, 4, 1),
        ("a" * 40, -1, 1),
        ("a" * 40, None, 1),
        ("a" * 40 + "C", 0, 1),
        (None, 0, 1),
        ("a" * 40, 0, "now"),
    ],
)
def test_a_row_with_wrong_values_is_malformed(reflog: Reflog, row: tuple[object, ...]) -> None:
    with closing(open_image(reflog.serialize(), "reference log")) as connection:
        connection.execute("INSERT INTO refs VALUES (?, ?, ?)", row)
        image = connection.serialize()
    with closing(Reflog.load(image)) as read, pytest.raises(MalformedData):
        read.refs()


def test_a_newer_schema_is_refused(reflog: Reflog) -> None:
    with closing(open_image(reflog.serialize(), "reference log")) as connection:
        connection.execute("UPDATE properties SET value = '1' WHERE key = 'schema_revision'")
        image = connection.serialize()
    with pytest.raises(MalformedData, match="newest known"):
        Reflog.load(image)


@given(st.binary(max_size=300))
def test_any_bytes_are_malformed(image: bytes) -> None:
    with pytest.raises(MalformedData):
        Reflog.load(image)


@given(edits=st.lists(st.tuples(st.integers(0, 10_000_000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6))
def test_a_damaged_image_is_read_or_malformed(edits: list[tuple[int, bytes]]) -> None:
    with closing(Reflog.new(FQRN)) as good:
        good.add(RefKind.CATALOG, ONE, 1)
        good.add(RefKind.HISTORY, TWO, 2)
        image = bytearray(good.serialize())
    for place, new in edits:
        at = place % (len(image) - len(new))
        image[at : at + len(new)] = new
    with suppress(MalformedData), closing(Reflog.load(bytes(image))) as damaged:
        assert all(isinstance(one, Reference) for one in damaged.refs())
        damaged.add(RefKind.CATALOG, ONE, 3)
        assert damaged.serialize()
