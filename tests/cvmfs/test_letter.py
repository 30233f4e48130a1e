import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import LimitExceeded, MalformedData, VerificationFailed
from fondaco.cvmfs.letter import MAX_SIGNATURE_BYTES, Letter

LIMIT = 4095
BODY = b"Cabc\nSdef\n"


def parse(raw: bytes) -> Letter:
    return Letter.parse(raw, what="the file", limit=LIMIT)


def write(body: bytes = BODY, algorithm: Algorithm = Algorithm.SHA1) -> Letter:
    return Letter.write(body, algorithm=algorithm, sign=lambda text: b"<" + text + b">", what="the file", limit=LIMIT)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_what_is_written_is_read_back(algorithm: Algorithm) -> None:
    letter = write(algorithm=algorithm)
    assert letter.serialize() == BODY + b"--\n" + str(Digest.of(BODY, algorithm)).encode() + b"\n" + letter.signature
    assert letter.signature == b"<" + letter.hash_text + b">"
    assert parse(letter.serialize()) == letter
    letter.check_body("the file")


def test_a_changed_body_is_found() -> None:
    letter = parse(write().serialize().replace(b"Sdef", b"Sdeg"))
    with pytest.raises(VerificationFailed, match="the file is not trusted"):
        letter.check_body("the file")


def test_the_first_end_mark_counts_as_for_clients() -> None:
    raw = write().serialize() + b"\n--\n" + b"0" * 40 + b"\nsignature"
    assert parse(raw).body == BODY


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "'--'"),
        (BODY, "'--'"),
        (b"--\n" + b"0" * 40 + b"\ns", "'--'"),
        (BODY + b"--\n", "not signed"),
        (BODY + b"--\n" + b"0" * 40, "not signed"),
        (BODY + b"--\n" + b"0" * 40 + b"\n", "not signed"),
        (BODY + b"--\n" + b"0" * 39 + b"\ns", "no hash"),
        (BODY + b"--\n" + b"0" * 40 + b"C\ns", "no hash"),
        (BODY + b"--\n" + b"0" * 40 + b"-\ns", "no hash"),
        (BODY + b"--\n" + b"A" * 40 + b"\ns", "no hash"),
        (BODY + b"--\n" + b"\xff" * 40 + b"\ns", "no hash"),
        (BODY + b"--\n" + b"0" * 40 + b"\n" + b"s" * (MAX_SIGNATURE_BYTES + 1), "signature"),
        (b"x" * (LIMIT + 1), "longer"),
    ],
)
def test_other_files_are_malformed(raw: bytes, why: str) -> None:
    with pytest.raises(MalformedData) as caught:
        parse(raw)
    assert why in caught.value.why


def test_nothing_longer_than_the_limit_is_written() -> None:
    with pytest.raises(LimitExceeded):
        write(b"x" * LIMIT + b"\n")


@given(st.binary(max_size=200) | st.builds(lambda a, b: a + b"\n--\n" + b, st.binary(), st.binary()))
def test_any_bytes_are_read_or_malformed(raw: bytes) -> None:
    try:
        letter = parse(raw)
    except MalformedData:
        return
    assert letter.serialize() == raw
