"""Every key has exactly one path or one reason for having none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.paths import check_path
from fondaco.software.keys import Place, check_prefix, key_of, place
from fondaco.software.refusal import Reason, Refusal


def reason(key: str) -> Reason:
    judged = place(key)
    assert isinstance(judged, Refusal), judged
    assert judged.reason.sentence in str(judged)
    return judged.reason


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("cvmfs/../victim/evil.sh", Reason.DOT_PART),
        ("cvmfs/a/../../x", Reason.DOT_PART),
        ("cvmfs/./a", Reason.DOT_PART),
        ("cvmfs/a/..", Reason.DOT_PART),
        ("cvmfs/.", Reason.DOT_PART),
        ("cvmfs/../", Reason.DOT_PART),
        ("cvmfs//a", Reason.EMPTY_PART),
        ("cvmfs/a//", Reason.EMPTY_PART),
        ("cvmfs//", Reason.EMPTY_PART),
        ("/cvmfs/a", Reason.OUTSIDE),
    ],
)
def test_k1_keys_that_would_leave_their_place_are_refused(key: str, why: Reason) -> None:
    assert reason(key) is why


@pytest.mark.parametrize("key", ["data/secret.bin", "cvmfs", "cvmfsx/a", "CVMFS/a", ""])
def test_k2_keys_outside_the_folder_are_refused(key: str) -> None:
    assert reason(key) is Reason.OUTSIDE


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("cvmfs/a\0b", Reason.CONTROL),
        ("cvmfs/a\nb", Reason.CONTROL),
        ("cvmfs/\x1b[2J", Reason.CONTROL),
        ("cvmfs/\x7f", Reason.CONTROL),
        ("cvmfs/\x85", Reason.CONTROL),
        (b"cvmfs/\xff\xfe".decode("utf-8", "surrogateescape"), Reason.NOT_UTF8),
    ],
)
def test_k3_bytes_that_no_name_should_have_are_refused(key: str, why: Reason) -> None:
    assert reason(key) is why


def test_k3_a_backslash_is_published_as_it_is() -> None:
    assert place("cvmfs/a\\b") == Place("/a\\b", is_directory=False)


def test_k4_lengths_are_counted_in_bytes() -> None:
    assert place("cvmfs/" + "a" * 255) == Place("/" + "a" * 255, is_directory=False)
    assert reason("cvmfs/" + "a" * 256) is Reason.NAME_TOO_LONG
    assert reason("cvmfs/" + "é" * 128) is Reason.NAME_TOO_LONG
    assert reason("cvmfs/x/" + "😀" * 64) is Reason.NAME_TOO_LONG
    longest = "/".join(["a" * 254] * 16)
    assert len(longest) == 4079
    assert isinstance(place("cvmfs/" + longest + "/" + "b" * 14), Place)
    assert reason("cvmfs/" + longest + "/" + "b" * 15) is Reason.PATH_TOO_LONG


@pytest.mark.parametrize(
    "key",
    [
        "cvmfs/.cvmfspublished",
        "cvmfs/.cvmfsreflog",
        "cvmfs/.cvmfs",
        "cvmfs/.cvmfs/snapshots",
        "cvmfs/.cvmfsanything/x",
        "cvmfs/.cvmfscatalog/",
        "cvmfs/a/.cvmfscatalog/x",
        "cvmfs/a/.cvmfsautocatalog",
    ],
)
def test_k5_names_of_cernvm_fs_are_refused(key: str) -> None:
    assert reason(key) is Reason.RESERVED


@pytest.mark.parametrize("key", ["cvmfs/.cvmfscatalog", "cvmfs/a/.cvmfscatalog", "cvmfs/a/.cvmfspublished"])
def test_k5_the_catalog_marker_is_the_users_right(key: str) -> None:
    assert place(key) == Place("/" + key.removeprefix("cvmfs/"), is_directory=False)


@pytest.mark.parametrize(
    "name",
    [
        "results.20240131",
        "lib.so.12345678",
        "~backup",
        ".hidden",
        "core",
        "two words ",
        " ",
        "😀",
        "\u00e9",
        "e\u0301",
        "...",
        "%2e%2e",
        "a:b",
    ],
)
def test_k6_unusual_names_are_published_unchanged(name: str) -> None:
    assert place(f"cvmfs/{name}") == Place(f"/{name}", is_directory=False)


def test_k8_markers_are_directories_and_the_folder_itself_is_the_root() -> None:
    assert place("cvmfs/a/b/") == Place("/a/b", is_directory=True)
    assert place("cvmfs/") == Place("", is_directory=True)
    assert place("cvmfs/" + "d/" * 40 + "f") == Place("/" + "d/" * 40 + "f", is_directory=False)


def test_the_prefix_may_be_empty_or_deep() -> None:
    assert place("a", "") == Place("/a", is_directory=False)
    assert place("x/y/a", "x/y/") == Place("/a", is_directory=False)
    for wrong in ("cvmfs", "/cvmfs/", "/"):
        with pytest.raises(ValueError, match="prefix"):
            check_prefix(wrong)


@given(st.text(alphabet=st.characters(codec=None), max_size=300), st.sampled_from(["", "cvmfs/", "x/y/"]))
def test_any_key_gets_a_possible_path_or_a_reason(inner: str, prefix: str) -> None:
    judged = place(prefix + inner, prefix)
    if isinstance(judged, Place):
        assert check_path(judged.path) == judged.path
        assert key_of(judged.path, prefix) + ("/" if judged.is_directory and judged.path else "") == prefix + inner


def test_every_reason_has_its_sentence() -> None:
    assert len({one.sentence for one in Reason}) == len(Reason)
