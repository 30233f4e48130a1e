import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.errors import BadName
from fondaco.cvmfs.fqrn import check_fqrn, fqrn_fault


@pytest.mark.parametrize(
    "name", ["test_1-dash.cern.ch", "a.b", "0.x", "Upper.Example.org", "a" * 48 + ".example.org", "a..b", "a.b."]
)
def test_names_that_the_reference_tools_take(name: str) -> None:
    assert check_fqrn(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("nodomain", "no domain"),
        ("a" * 49 + ".example.org", "60"),
        ("_a.example.org", "first"),
        (".example.org", "first"),
        ("-a.example.org", "first"),
        ("a b.example.org", "only"),
        ("a/b.example.org", "only"),
        ("../x.example.org", "only"),
        ("a.example.org\n", "only"),
        ("a.example.org\r", "only"),
        ("ä.example.org", "only"),
        ("a\0.example.org", "only"),
        ("\u0661.example.org", "only"),
        ("test_@1-dash.cern.ch", "only"),
    ],
)
def test_other_names_are_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(BadName) as caught:
        check_fqrn(name)
    assert why in caught.value.why


@given(st.text())
def test_what_passes_is_a_safe_file_name(name: str) -> None:
    if fqrn_fault(name) is None:
        assert name.isascii()
        assert "/" not in name
        assert name not in (".", "..")
        assert name.isprintable()
