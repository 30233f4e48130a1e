"""The whitelist ``.cvmfswhitelist``: which certificates may sign for a repository, and until when.

Signed with the master key, whose public half clients are configured with. Source: cvmfs/whitelist.cc,
``create_whitelist`` in cvmfs/server/cvmfs_server_ssl.sh.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Self

from fondaco.cvmfs import paths
from fondaco.cvmfs.digest import DIGEST_BYTES, Algorithm, Digest
from fondaco.cvmfs.errors import KeyUnusable, MalformedData, VerificationFailed, WhitelistExpired
from fondaco.cvmfs.fqrn import check_fqrn, fqrn_fault
from fondaco.cvmfs.letter import Letter
from fondaco.cvmfs.signing import WhitelistSigner, fingerprint, whitelist_signature_fits

MAX_WHITELIST_BYTES = 1 << 16  # ours: a thousand certificates; the reference has no limit
DEFAULT_LIFE = timedelta(days=30)  # the reference's, with a master key in a file

_WHAT = "the whitelist"
_HINT = "fetch it again or from another place"
_TIME = "%Y%m%d%H%M%S"  # UTC
_FOURTEEN_DIGITS = re.compile(rb"[0-9]{14}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whitelist:
    """Who may sign for one repository."""

    fqrn: str
    issued_at: datetime  # UTC, whole seconds; for the record only
    expires_at: datetime  # UTC, whole seconds; but see valid_until
    fingerprints: tuple[Digest, ...]  # of certificates in DER form
    pkcs7: bool = (
        False  # V line: to be verified by a PKCS#7 structure in a file of its own instead of the signature here
    )
    ca_chain: bool = False  # W line: the certificates' own issuers are to be verified, too

    @property
    def valid_until(self) -> datetime:
        """When clients stop trusting it: they compare whole hours, so up to 59 minutes before expires_at."""
        return self.expires_at.replace(minute=0, second=0, microsecond=0)

    def lists(self, certificate: bytes) -> bool:
        """Whether *certificate* (PEM) may sign; MalformedData for no certificate."""
        algorithms = {listed.algorithm for listed in self.fingerprints}
        return any(fingerprint(certificate, algorithm) in self.fingerprints for algorithm in algorithms)

    def body(self) -> bytes:
        """The lines that are signed."""
        return b"".join(line.encode("ascii") + b"\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield _digits(self.issued_at)
        yield "E" + _digits(self.expires_at)
        yield "N" + check_fqrn(self.fqrn)
        if self.pkcs7:
            yield "Vpkcs7"
        if self.ca_chain:
            yield "Wcachain"
        for listed in self.fingerprints:
            yield _fingerprint_line(listed)

    @classmethod
    def create(
        cls,
        fqrn: str,
        certificates: Iterable[bytes],
        *,
        now: datetime,
        life: timedelta = DEFAULT_LIFE,
        algorithm: Algorithm = Algorithm.SHA1,
    ) -> Self:
        """A whitelist of *certificates* (PEM), valid from *now* for *life*.

        Raises BadName for no repository name and MalformedData for no certificate.
        """
        start = now.astimezone(UTC).replace(microsecond=0)
        return cls(
            fqrn=check_fqrn(fqrn),
            issued_at=start,
            expires_at=start + life,
            fingerprints=tuple(fingerprint(certificate, algorithm) for certificate in certificates),
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the lines above ``--``; MalformedData with the line that is wrong."""
        lines = body.removesuffix(b"\n").split(b"\n")
        if len(lines) < 3:
            _malformed(len(lines), "creation, expiry and name are not all there")
        position = 3
        flags = []
        for flag in (b"Vpkcs7", b"Wcachain"):  # clients know them in this order and in this place only
            flags.append(lines[position : position + 1] == [flag])
            position += flags[-1]
        return cls(
            issued_at=_time(1, lines[0]),
            expires_at=_time(2, _after(b"E", 2, lines[1])),
            fqrn=_name(3, _after(b"N", 3, lines[2])),
            pkcs7=flags[0],
            ca_chain=flags[1],
            fingerprints=tuple(_fingerprints(lines[position:])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWhitelist:
    """A whitelist and the signature that came with it, verified or not."""

    whitelist: Whitelist
    letter: Letter

    def serialize(self) -> bytes:
        """The file."""
        return self.letter.serialize()


def parse_signed(raw: bytes) -> SignedWhitelist:
    """Read ``.cvmfswhitelist`` without trusting it; MalformedData with the line that is wrong."""
    letter = Letter.parse(raw, what=_WHAT, limit=MAX_WHITELIST_BYTES)
    return SignedWhitelist(whitelist=Whitelist.parse(letter.body), letter=letter)


def sign(whitelist: Whitelist, signer: WhitelistSigner) -> bytes:
    """The bytes of ``.cvmfswhitelist``; KeyUnusable without the master key, LimitExceeded when it is too large."""
    algorithms = [listed.algorithm for listed in whitelist.fingerprints]
    return Letter.write(
        whitelist.body(),
        algorithm=algorithms[0] if algorithms else Algorithm.SHA1,  # the reference hashes text and certificate alike
        sign=signer.sign_whitelist,
        what=_WHAT,
        limit=MAX_WHITELIST_BYTES,
    ).serialize()


def verify(signed: SignedWhitelist, *, public_keys: Sequence[bytes], fqrn: str, now: datetime) -> Whitelist:
    """The whitelist, if one of *public_keys* (PEM) signed it for *fqrn* and it holds at *now*.

    Raises WhitelistExpired, VerificationFailed for any other reason, KeyUnusable for a public key that is none.
    """
    if not public_keys:
        raise KeyUnusable(
            "the whitelist cannot be verified", "no public key was given", "name the repository's .pub file"
        )
    letter, whitelist = signed.letter, signed.whitelist
    letter.check_body(_WHAT)
    if whitelist.pkcs7 or whitelist.ca_chain:
        demand = "a PKCS#7 signature" if whitelist.pkcs7 else "a chain of certificate authorities"
        raise _untrusted(f"it demands {demand}, which is not supported here", "have it signed with a master key")
    if not any(whitelist_signature_fits(key, letter.hash_text, letter.signature) for key in public_keys):
        raise _untrusted("no public key fits its signature", "check that the public key is this repository's")
    if whitelist.fqrn != fqrn:
        raise _untrusted(f"it is for {whitelist.fqrn}, not for {fqrn}", "check the repository's name and address")
    if now >= whitelist.valid_until:
        raise WhitelistExpired(
            f"{_WHAT} is not trusted",
            f"it ended at {whitelist.valid_until:%Y-%m-%d %H:%M} UTC",
            "have it signed again, or check this machine's clock",
        )
    return whitelist


def _fingerprint_line(listed: Digest) -> str:
    text = str(listed).upper()
    pairs = [text[at : at + 2] for at in range(0, 2 * DIGEST_BYTES, 2)]
    return ":".join(pairs) + text[2 * DIGEST_BYTES :]


def _fingerprints(lines: list[bytes]) -> Iterator[Digest]:
    """Lines that hold no fingerprint are passed over, as clients do: they are where people put remarks."""
    for line in lines:
        text = re.split(rb"[ \t#]", line, maxsplit=1)[0].replace(b":", b"").lower()
        try:
            yield Digest.parse(text.decode("ascii", "backslashreplace"))
        except MalformedData:
            continue


def _after(letter: bytes, number: int, line: bytes) -> bytes:
    if not line.startswith(letter):
        _malformed(number, f"it does not begin with {letter.decode()}")
    return line[1:]


def _digits(time: datetime) -> str:
    return time.strftime(_TIME).zfill(14)


def _time(number: int, digits: bytes) -> datetime:
    if not _FOURTEEN_DIGITS.fullmatch(digits):
        _malformed(number, "it does not hold a time of 14 digits")
    try:
        return datetime.strptime(digits.decode("ascii"), _TIME).replace(tzinfo=UTC)
    except ValueError:
        _malformed(number, f"{digits.decode('ascii')} is no time")


def _name(number: int, raw: bytes) -> str:
    text = paths.decode(raw)
    fault = fqrn_fault(text)
    if fault:
        _malformed(number, f"{text[:80]!r} is no repository name: {fault}")
    return text


def _untrusted(why: str, hint: str) -> VerificationFailed:
    return VerificationFailed(f"{_WHAT} is not trusted", why, hint)


def _malformed(number: int, why: str) -> NoReturn:
    raise MalformedData(f"{_WHAT} cannot be read", f"line {number}: {why}", _HINT)
