"""Inode numbers."""

from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.entry import Chunk, Content, Entry, directory, regular, symlink
from fondaco.cvmfs.mount.nodes import ROOT_INODE, Nodes, directory_inode, inode_of, key_of

if TYPE_CHECKING:
    from fondaco.cvmfs.mount.tree import Tree

TREE = cast("Tree", object())
LATER = cast("Tree", object())
HASHES = st.binary(min_size=20, max_size=20)


def file(digest: bytes, *, group: int = 0, name: str = "f", mtime_ns: int = 0) -> Entry:
    return regular(name, Content(size=3, digest=digest), hardlink_group=group, mtime_ns=mtime_ns)


def number(path: str, entry: Entry, mountpoint: str = "") -> int:
    return inode_of(path, key_of(path, entry, mountpoint))


@given(HASHES, HASHES)
def test_a_file_has_another_number_exactly_when_its_content_is_another(first: bytes, second: bytes) -> None:
    assert (number("/a", file(first)) == number("/a", file(second))) is (first == second)
    assert number("/a", file(first)) == number("/a", file(first, mtime_ns=5))
    assert number("/a", file(first)) != number("/b", file(first))


@given(HASHES, st.integers(1, 1000), st.integers(1, 1000))
def test_hard_links_share_a_number_within_their_catalog(digest: bytes, group: int, other: int) -> None:
    first = number("/d/a", file(digest, group=group), "/d")
    assert first == number("/d/b", file(digest, group=group), "/d")
    assert first != number("/d/b", file(digest, group=group), "/e")
    assert (first == number("/d/b", file(digest, group=other), "/d")) is (group == other)


def test_chunks_and_targets_count_as_content() -> None:
    one, two = (
        regular("f", Content(size=2, digest=None, chunks=(Chunk(0, 1, b"1" * 20), Chunk(1, 1, last * 20))))
        for last in (b"2", b"3")
    )
    assert number("/f", one) != number("/f", two)
    assert number("/l", symlink("l", "a")) != number("/l", symlink("l", "b"))


@given(st.text(alphabet="ab/\udcff", min_size=1))
def test_a_directory_keeps_its_number(path: str) -> None:
    assert number(path, directory("d", mode=0o700)) == number(path, directory("d", mtime_ns=9)) == directory_inode(path)
    assert ROOT_INODE < directory_inode(path) < 1 << 63
    assert directory_inode("") == number("", directory("")) == ROOT_INODE


def test_a_node_lives_as_long_as_the_kernel_refers_to_it() -> None:
    nodes = Nodes()
    node = nodes.at("/a", file(b"1" * 20), "", TREE)
    assert node is not None
    assert nodes.get(node.ino) is None
    nodes.reference(node)
    nodes.reference(node)
    nodes.forget(node.ino, 1)
    assert nodes.get(node.ino) is node
    nodes.forget(node.ino, 1)
    assert nodes.get(node.ino) is None
    nodes.forget(node.ino, 1)  # the kernel is never contradicted


def test_reading_on_in_an_old_directory_does_not_take_a_node_back() -> None:
    nodes = Nodes()
    node = nodes.at("/a", file(b"1" * 20, mtime_ns=2), "", LATER)
    assert node is not None
    nodes.reference(node)
    assert nodes.at("/a", file(b"1" * 20, mtime_ns=1), "", TREE, current=False) is node
    assert (node.entry.mtime_ns, node.tree) == (2, LATER)


def test_two_files_with_one_number_are_told_apart() -> None:
    nodes = Nodes()
    node = nodes.at("/a", file(b"1" * 20), "", TREE)
    assert node is not None
    nodes.reference(node)
    node.key = b"another file"
    assert nodes.at("/a", file(b"1" * 20), "", TREE) is None
