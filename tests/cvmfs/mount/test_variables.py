"""Variables in symbolic links."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.mount.variables import expand

ENVIRONMENT = {b"HOME": b"/home/a", b"EMPTY": b"", b"NESTED": b"$(HOME)"}


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"plain", b"plain"),
        (b"$HOME", b"$HOME"),
        (b"$(HOME)/x", b"/home/a/x"),
        (b"a/$(HOME)$(HOME)", b"a//home/a/home/a"),
        (b"$(UNSET)/x", b"/x"),
        (b"$(UNSET:-def)/x", b"def/x"),
        (b"$(HOME:-def)", b"/home/a"),
        (b"$(EMPTY:-def)", b""),
        (b"$(UNSET:-a:-b)", b"a:-b"),
        (b"$(UNSET:-)", b""),
        (b"$(NESTED)", b"$(HOME)"),
        (b"$(HOME", b"$(HOME"),
        (b"x$(", b"x$("),
        (b"$()x", b"x"),
        (b"$($(HOME))", b")"),
    ],
)
def test_a_target_is_expanded_as_in_the_stock_client(target: bytes, shown: bytes) -> None:
    assert expand(target, ENVIRONMENT) == shown


@given(st.binary().filter(lambda target: b"$(" not in target))
def test_what_holds_no_variable_stays(target: bytes) -> None:
    assert expand(target, ENVIRONMENT) == target


@given(st.binary(), st.binary(), st.from_regex(rb"[A-Z]{1,8}", fullmatch=True), st.binary())
def test_what_stands_around_a_variable_stays(before: bytes, after: bytes, name: bytes, content: bytes) -> None:
    before, after = before.replace(b"$", b""), after.replace(b"$", b"")
    assert expand(before + b"$(" + name + b")" + after, {name: content}) == before + content + after
