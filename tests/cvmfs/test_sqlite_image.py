import sqlite3
from collections.abc import Iterable
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.sqlite_image import PROPERTIES_DDL, PropertyDatabase, create_image, open_image


class Sample(PropertyDatabase):
    what = "sample"
    schema_revision = 2
    ddl = ("CREATE TABLE things (name TEXT)",)


def image_of(statements: Iterable[str]) -> bytes:
    with closing(create_image(statements)) as connection:
        return connection.serialize()


PLAIN = image_of(["CREATE TABLE things (name TEXT)", "INSERT INTO things VALUES (CAST(x'ff41' AS TEXT))"])


def test_text_that_is_not_utf8_comes_back_escaped() -> None:
    connection = open_image(PLAIN, "sample")
    assert connection.execute("SELECT name FROM things").fetchall() == [("\udcffA",)]
    connection.close()


def test_an_opened_image_is_the_same_bytes_and_can_be_changed() -> None:
    connection = open_image(PLAIN, "sample")
    assert connection.serialize() == PLAIN
    connection.execute("DELETE FROM things")
    again = open_image(connection.serialize(), "sample")
    assert again.execute("SELECT count(*) FROM things").fetchone() == (0,)
    connection.close()
    again.close()


def test_what_is_written_has_no_write_ahead_log() -> None:
    assert PLAIN[18:20] == b"\1\1"
    assert PLAIN[16:18] == (4096).to_bytes(2, "big")


@pytest.mark.parametrize("at", [18, 19])
def test_a_header_that_announces_a_write_ahead_log_is_refused(at: int) -> None:
    with pytest.raises(MalformedData, match="write-ahead log"):
        open_image(PLAIN[:at] + b"\2" + PLAIN[at + 1 :], "sample")


@pytest.mark.parametrize(
    "statement",
    [
        # would never end
        "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "CREATE TRIGGER t AFTER INSERT ON things BEGIN DELETE FROM things; END",
        "CREATE VIRTUAL TABLE searched USING fts5(name)",
    ],
)
def test_an_image_that_holds_more_than_data_is_refused(statement: str) -> None:
    with pytest.raises(MalformedData, match="view, trigger or virtual table"):
        open_image(image_of(["CREATE TABLE things (name TEXT)", statement]), "sample")


@pytest.mark.parametrize("image", [b"", b"x", b"SQLite format 3\0", PLAIN[:100], PLAIN[:4096], b"\0" * 4096])
def test_other_bytes_are_malformed(image: bytes) -> None:
    with pytest.raises(MalformedData, match="a sample cannot be read"):
        open_image(image, "sample").execute("SELECT * FROM things").fetchall()


def test_a_message_that_quotes_damage_is_no_other_error() -> None:
    """SQLite's own message then is not UTF-8."""
    damaged = PLAIN.replace(b"CREATE TABLE things", b"CREATE TABLE\x80things")
    with pytest.raises(MalformedData):
        open_image(damaged, "sample")


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: PLAIN[:20] + tail))
def test_any_bytes_are_malformed(image: bytes) -> None:
    with pytest.raises(MalformedData):
        open_image(image, "sample")


def test_a_new_database_is_read_back() -> None:
    database = Sample.new("test.example.org")
    read = Sample.load(database.serialize())
    assert read.fqrn == "test.example.org"
    assert read.serialize() == database.serialize() == Sample.new("test.example.org").serialize()
    database.close()
    read.close()


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({}, "schema is None"),
        ({"schema": "1.1", "fqrn": "a.b"}, "schema is '1.1'"),
        ({"schema": "1.0"}, "name its repository"),
        ({"schema": "1.0", "fqrn": ""}, "name its repository"),
        ({"schema": "1.0", "fqrn": "a.b", "schema_revision": "3"}, "revision is '3'"),
        ({"schema": "1.0", "fqrn": "a.b", "schema_revision": "-1"}, "revision is '-1'"),
        ({"schema": "1.0", "fqrn": "a.b", "schema_revision": "0000000009"}, "revision is"),
    ],
)
def test_wrong_properties_are_refused(properties: dict[str, str], why: str) -> None:
    with closing(create_image([PROPERTIES_DDL])) as connection:
        connection.executemany("INSERT INTO properties VALUES (?, ?)", properties.items())
        image = connection.serialize()
    with pytest.raises(MalformedData, match=why):
        Sample.load(image)


def test_a_database_without_properties_is_refused() -> None:
    with pytest.raises(MalformedData, match="no such table"):
        Sample.load(PLAIN)


def test_errors_of_a_closed_database_are_not_hidden() -> None:
    database = Sample.new("test.example.org")
    database.close()
    with pytest.raises(sqlite3.ProgrammingError):
        database.serialize()
