"""The manifest ``.cvmfspublished``: which revision is current, signed.

Lines of one letter and its value; readers do not mind their order, and of a repeated letter the last counts (values
of ``Z`` are joined). What is refused here, on writing and on reading, is what leaves the reference client unable to
mount or makes it see something else than what stands there.
Source: cvmfs/manifest.cc, ``ParseKeyvalMem`` in cvmfs/util/string.cc.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, Self

from fondaco.cvmfs import paths
from fondaco.cvmfs.digest import DIGEST_BYTES, Digest, Suffix, object_key
from fondaco.cvmfs.errors import KeyUnusable, MalformedData, VerificationFailed
from fondaco.cvmfs.fqrn import fqrn_fault
from fondaco.cvmfs.letter import Letter
from fondaco.cvmfs.signing import Signer, manifest_signature_fits

MAX_MANIFEST_BYTES = 4095  # signature included; ParseKeyvalPath reads no more from a local file
MAX_TTL = (1 << 32) - 1  # seconds; uint32_t in the client
MAX_NUMBER = (1 << 63) - 1  # the reference prints its numbers as int64_t
DEFAULT_TTL = 240  # seconds; Catalog::kDefaultTTL

ROOT_PATH_MD5 = "d41d8cd98f00b204e9800998ecf8427e"  # md5(""): another value is a root mismatch
TIPS = "Z"  # reserved for channel tips; the one letter whose repetitions add up

_KNOWN = "CBRDSGALNXHTMY"
_WHAT = "the manifest"
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")  # all but those that stand for bytes that are not UTF-8
_NULL = bytes(DIGEST_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One published state. Making an invalid one raises MalformedData."""

    root_catalog: Digest
    root_catalog_size: int = 0  # bytes of the uncompressed database; 0: not recorded
    ttl: int = DEFAULT_TTL  # seconds; clients go by the property TTL of the root catalog
    revision: int
    fqrn: str
    certificate: Digest
    history: Digest | None = None  # tag database
    metainfo: Digest | None = None
    reflog: Digest | None = None  # of the plain file .cvmfsreflog; needed as soon as that exists
    micro_catalog: Digest | None = None  # obsolete
    published_at: int = 0  # seconds since 1970; clients refuse to go back. 0: not recorded
    garbage_collectable: bool = False
    alternative_paths: bool = False  # .cvmfsalt-… links exist in the repository's root
    extra: tuple[tuple[str, str], ...] = ()  # (letter, value) of unknown lines: signing again loses nothing

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise MalformedData("this is no valid manifest", fault, "publish again from an intact revision")

    def body(self) -> bytes:
        """The lines that are signed, in the order of the reference publisher."""
        return b"".join(paths.encode(letter + value) + b"\n" for letter, value in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        yield "C", str(self.root_catalog)
        yield "B", str(self.root_catalog_size)
        yield "R", ROOT_PATH_MD5
        yield "D", str(self.ttl)
        yield "S", str(self.revision)
        yield "G", _yes_no(self.garbage_collectable)
        yield "A", _yes_no(self.alternative_paths)
        if self.micro_catalog:
            yield "L", str(self.micro_catalog)
        yield "N", self.fqrn
        yield "X", str(self.certificate)
        if self.history:
            yield "H", str(self.history)
        if self.published_at:
            yield "T", str(self.published_at)
        if self.metainfo:
            yield "M", str(self.metainfo)
        if self.reflog:
            yield "Y", str(self.reflog)
        yield from self.extra

    @property
    def certificate_key(self) -> str:
        """Where the certificate lies below the repository's root."""
        return object_key(self.certificate, Suffix.CERTIFICATE)

    @property
    def root_catalog_key(self) -> str:
        """Where the root catalog lies below the repository's root."""
        return object_key(self.root_catalog, Suffix.CATALOG)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the lines above ``--``; MalformedData with the line that is wrong."""
        lines = _Lines(body)
        if lines.text("R", "the MD5 of the root path") != ROOT_PATH_MD5:
            lines.refuse("R", "it is not the MD5 of the empty path")
        return cls(
            root_catalog=lines.digest("C", "the root catalog"),
            root_catalog_size=lines.number("B", default=0),
            ttl=lines.number("D", limit=MAX_TTL),
            revision=lines.number("S"),
            fqrn=lines.fqrn("N"),
            certificate=lines.digest("X", "the certificate"),
            history=lines.optional_digest("H"),
            metainfo=lines.optional_digest("M"),
            reflog=lines.optional_digest("Y"),
            micro_catalog=lines.optional_digest("L"),
            published_at=lines.number("T", default=0),
            garbage_collectable=lines.flag("G"),
            alternative_paths=lines.flag("A"),
            extra=lines.unknown(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """A manifest and the signature that came with it, verified or not."""

    manifest: Manifest
    letter: Letter

    def serialize(self) -> bytes:
        """The file."""
        return self.letter.serialize()


def parse_signed(raw: bytes) -> SignedManifest:
    """Read ``.cvmfspublished`` without trusting it; MalformedData with the line that is wrong."""
    letter = Letter.parse(raw, what=_WHAT, limit=MAX_MANIFEST_BYTES)
    return SignedManifest(manifest=Manifest.parse(letter.body), letter=letter)


def sign(manifest: Manifest, signer: Signer) -> bytes:
    """The bytes of ``.cvmfspublished``.

    KeyUnusable when the signature does not fit the signer's certificate (after a key was rotated, say): clients would
    refuse it. LimitExceeded when it is too large for clients.
    """
    letter = Letter.write(
        manifest.body(),
        algorithm=manifest.root_catalog.algorithm,
        sign=signer.sign_manifest,
        what=_WHAT,
        limit=MAX_MANIFEST_BYTES,
    )
    if not manifest_signature_fits(signer.certificate, letter.hash_text, letter.signature):
        raise KeyUnusable(
            f"{manifest.fqrn} cannot be signed",
            "the signing key does not belong to the certificate",
            "name the key that the certificate was made for",
        )
    return letter.serialize()


def verify(signed: SignedManifest, certificate: bytes) -> Manifest:
    """The manifest, if the key in *certificate* (PEM) signed it, else VerificationFailed.

    Whether that certificate may sign for this repository is the whitelist's to say: see :mod:`fondaco.cvmfs.trust`.
    """
    letter = signed.letter
    letter.check_body(_WHAT)
    if not manifest_signature_fits(certificate, letter.hash_text, letter.signature):
        raise VerificationFailed(
            f"{_WHAT} is not trusted",
            "its signature was not made by the key of its certificate",
            "fetch it again or from another place",
        )
    return signed.manifest


class _Lines:
    """The lines of a manifest by letter: number of the line, value."""

    def __init__(self, body: bytes) -> None:
        self._values: dict[str, tuple[int, str]] = {}
        for number, line in enumerate(body.split(b"\n"), 1):
            if not line:
                continue  # as the client
            letter, value = chr(line[0]), paths.decode(line[1:])
            if not (letter.isascii() and letter.isalpha()):
                _malformed(number, f"it does not begin with a letter but with {letter!r}")
            if _CONTROL.search(value):
                _malformed(number, f"the value of {letter} holds a control character")
            if letter == TIPS and letter in self._values:
                value = f"{self._values[letter][1]}|{value}"
            self._values[letter] = number, value

    def text(self, letter: str, meaning: str) -> str:
        if letter not in self._values:
            raise MalformedData(f"{_WHAT} cannot be read", f"it has no line {letter}, {meaning}", _HINT)
        return self._values[letter][1]

    def digest(self, letter: str, meaning: str) -> Digest:
        self.text(letter, meaning)
        digest = self.optional_digest(letter)
        if digest is None:
            self.refuse(letter, "the hash is null")
        return digest

    def optional_digest(self, letter: str) -> Digest | None:
        if letter not in self._values:
            return None
        try:
            digest = Digest.parse(self._values[letter][1])
        except MalformedData as error:
            self.refuse(letter, error.why)
        return None if digest.raw == _NULL else digest  # zeros are how the reference says "none"

    def number(self, letter: str, *, default: int | None = None, limit: int = MAX_NUMBER) -> int:
        if letter not in self._values and default is not None:
            return default
        text = self.text(letter, "a number")
        if not _DIGITS.fullmatch(text) or int(text) > limit:
            self.refuse(letter, f"{text[:40]!r} is no number from 0 to {limit}")
        return int(text)

    def flag(self, letter: str) -> bool:
        if letter not in self._values:
            return False
        text = self._values[letter][1]
        if text not in ("yes", "no"):
            self.refuse(letter, f"{text[:40]!r} is neither 'yes' nor 'no'")
        return text == "yes"

    def fqrn(self, letter: str) -> str:
        text = self.text(letter, "the name of the repository")
        fault = fqrn_fault(text)
        if fault:
            self.refuse(letter, f"{text[:80]!r} is no repository name: {fault}")
        return text

    def unknown(self) -> tuple[tuple[str, str], ...]:
        return tuple((letter, value) for letter, (_, value) in self._values.items() if letter not in _KNOWN)

    def refuse(self, letter: str, why: str) -> NoReturn:
        _malformed(self._values[letter][0], f"the value of {letter}: {why}")


_HINT = "fetch it again or from another place"


def _malformed(number: int, why: str) -> NoReturn:
    raise MalformedData(f"{_WHAT} cannot be read", f"line {number}: {why}", _HINT)


def _fault(manifest: Manifest) -> str | None:
    fault = fqrn_fault(manifest.fqrn)
    if fault:
        return f"{manifest.fqrn[:80]!r} is no repository name: {fault}"
    if any(digest is not None and digest.raw == _NULL for digest in _digests(manifest)):
        return "one of its hashes is null"
    for name, limit in (
        ("root_catalog_size", MAX_NUMBER),
        ("ttl", MAX_TTL),
        ("revision", MAX_NUMBER),
        ("published_at", MAX_NUMBER),
    ):
        if not 0 <= getattr(manifest, name) <= limit:
            return f"{name} is not from 0 to {limit}"
    seen = set(_KNOWN)
    for letter, value in manifest.extra:
        if len(letter) != 1 or not letter.isascii() or not letter.isalpha() or letter in seen:
            return f"{letter[:40]!r} is no letter of its own for a further line"
        if _CONTROL.search(value) or _SURROGATE.search(value):
            return f"the value of {letter} holds a control character or no valid text"
        seen.add(letter)
    return None


def _digests(manifest: Manifest) -> tuple[Digest | None, ...]:
    return (
        manifest.root_catalog,
        manifest.certificate,
        manifest.history,
        manifest.metainfo,
        manifest.reflog,
        manifest.micro_catalog,
    )


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
