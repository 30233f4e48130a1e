"""Names and forms of the magic attributes."""

from dataclasses import replace

import pytest

from fondaco.cvmfs.catalog.counters import Counters
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import EXTERNAL, Chunk, Content, Entry, directory, regular, symlink
from fondaco.cvmfs.mount import magic
from fondaco.cvmfs.mount.magic import PAGE_BYTES, Facts, Subject, Visibility

DIGEST = Digest(b"\1" * 20)
FILE = regular("f", Content(size=3, digest=DIGEST.raw))
CHUNKED = regular(
    "c", Content(size=4000, digest=None, chunks=tuple(Chunk(number, 1, bytes(20)) for number in range(4000)))
)


def subject(entry: Entry) -> Subject:
    facts = Facts(fqrn="a.example.org", revision=7, root=DIGEST, host="http://h", version="1", public_keys=(b"K\n",))
    return Subject(
        path="/f",
        entry=entry,
        facts=facts,
        counters=lambda whole: (DIGEST, "" if whole else "/n", Counters(regular=2, dir=1)),
    )


def value(name: str, entry: Entry, mark: str = "~", page: int = 0) -> str | None:
    found = magic.value(b"user." + name.encode(), mark, page, subject(entry))
    return None if found is None else found.decode()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("fqrn", "a.example.org"),
        ("revision", "7"),
        ("root_hash", "01" * 20),
        ("tag", ""),
        ("hash", "01" * 20),
        ("chunks", "1"),
        ("chunk_list", f"hash,offset,size\n{'01' * 20},0,3\n"),
        ("compression", "zlib"),
        ("external_file", "0"),
        ("direct_io", "0"),
        ("pubkeys", "K\n"),
        ("hitrate", "n/a"),
        ("rawlink", None),
        ("external_url", None),
    ],
)
def test_a_plain_file(name: str, shown: str | None) -> None:
    assert value(name, FILE) == shown


def test_what_only_some_entries_have() -> None:
    assert value("hash", directory("d")) is None
    assert value("chunks", directory("d")) is None
    assert value("rawlink", symlink("l", "$(X)")) == "$(X)"
    assert value("external_file", replace(FILE, flags=FILE.flags | EXTERNAL)) == "1"


def test_counters_are_a_table_in_the_order_of_names() -> None:
    shown = value("catalog_counters", FILE)
    assert shown is not None
    lines = shown.splitlines()
    assert lines[:2] == [f"catalog_hash: {'01' * 20}", "catalog_mountpoint: /n"]
    assert lines[2:] == sorted(lines[2:])
    assert {"regular,2", "dir,1", "chunked,0"} <= set(lines)
    assert value("repo_counters", FILE) == "".join(line + "\n" for line in lines[2:])


def test_long_values_come_in_pages() -> None:
    pages = []
    while (page := value("chunk_list", CHUNKED, page=len(pages))) is not None:
        pages.append(page)
    assert len(pages) > 1
    assert all(page.startswith("hash,offset,size\n") and len(page) < PAGE_BYTES + 100 for page in pages)
    assert sum(page.count("\n") - 1 for page in pages) == 4000
    assert value("chunk_list", CHUNKED, page=-1) == f"num_pages, {len(pages)}"
    for_people = value("chunk_list", CHUNKED, mark="@", page=1)
    assert for_people is not None
    assert for_people.startswith("# Access page at idx: 1.")
    assert for_people.endswith(pages[1])
    beyond = value("chunk_list", CHUNKED, mark="@", page=99)
    assert beyond is not None
    assert beyond.startswith("Page requested does not exists.")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (b"user.hash", (b"user.hash", "~", 0)),
        (b"user.hash~3", (b"user.hash", "~", 3)),
        (b"user.hash@3", (b"user.hash", "@", 3)),
        (b"user.hash~?", (b"user.hash", "~", -1)),
        (b"user.hash~x", None),
        (b"user.hash~", None),
    ],
)
def test_a_name_may_ask_for_a_page(name: bytes, parts: tuple[bytes, str, int] | None) -> None:
    assert magic.split(name) == parts


def test_names_are_listed_where_they_are_wanted() -> None:
    root = directory("")
    assert magic.names(root, Visibility.NEVER) == magic.names(FILE, Visibility.ROOTONLY) == []
    assert b"user.fqrn" in magic.names(root, Visibility.ROOTONLY)
    assert b"user.hash" not in magic.names(root, Visibility.ALWAYS)
    assert {b"user.hash", b"user.chunks"} <= set(magic.names(FILE, Visibility.ALWAYS))
    assert b"xfsroot.rawlink" in magic.names(symlink("l", "x"), Visibility.ALWAYS)
    listed = magic.names(FILE, Visibility.ALWAYS)
    assert listed == sorted(listed)
