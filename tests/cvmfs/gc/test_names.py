"""Packed names of objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Algorithm, Digest, Suffix, object_key
from fondaco.cvmfs.gc.names import NAME_BYTES, NameSet, as_array, key_of_name, name_of_key, pack, unpack

digests = st.builds(Digest, st.binary(min_size=20, max_size=20), st.sampled_from(Algorithm))
names = st.builds(pack, digests, st.sampled_from(Suffix))
# Few bytes, zeros among them, so that names meet: numpy ends byte strings at trailing zeros.
meeting = st.builds(
    lambda one, last: bytes(18) + bytes((one, 0)) + bytes((last,)), st.integers(0, 3), st.integers(16, 19)
)


@given(digests, st.sampled_from(Suffix))
def test_a_name_says_where_the_object_lies(digest: Digest, suffix: Suffix) -> None:
    name = pack(digest, suffix)
    assert len(name) == NAME_BYTES
    assert unpack(name) == (digest, suffix)
    assert key_of_name(name) == object_key(digest, suffix)
    assert name_of_key(object_key(digest, suffix)) == name


@pytest.mark.parametrize(
    "key",
    [
        ".cvmfspublished",
        "data/txn/fondaco.tmp.1",
        "data/ab/" + "0" * 37,
        "data/ab/" + "0" * 38 + "L",
        "data/ab/" + "0" * 38 + "T",
        "data/ab/" + "A" * 38,
        "data/ab/" + "0" * 38 + "C-rmd160",
        "data/ab/" + "0" * 38 + "\n",
        "x/data/ab/" + "0" * 38,
    ],
)
def test_what_is_no_object_of_a_known_kind_has_no_name(key: str) -> None:
    assert name_of_key(key) is None


@given(st.lists(st.one_of(names, meeting)), st.lists(st.one_of(names, meeting)), st.integers(1, 5))
def test_a_set_of_names_is_a_set(added: list[bytes], asked: list[bytes], pending: int) -> None:
    found = NameSet(min_pending=pending)
    for name in added:
        found.add(name)
    wanted = added[::2] + asked
    assert found.contains(as_array(b"".join(wanted))).tolist() == [name in set(added) for name in wanted]
    assert len(found) == len(set(added))
