"""Signed text files: lines, ``--``, the hash of the lines, and a signature over the text of that hash.

The reference calls them letters; manifest and whitelist are two of them, with different signatures (see
:mod:`fondaco.cvmfs.signing`). Source: ``CutLetter`` and ``VerifyLetter`` in cvmfs/crypto/signature.cc.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import LimitExceeded, MalformedData, VerificationFailed

MAX_SIGNATURE_BYTES = 2048  # an RSA key of 16,384 bits, the largest that OpenSSL verifies with

_END_OF_BODY = b"\n--\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The three parts of a signed file. Nothing in it is verified by having been parsed."""

    body: bytes  # the lines, the newline before "--" included
    digest: Digest  # the printed hash, claimed to be that of the body
    signature: bytes  # raw, over hash_text

    @property
    def hash_text(self) -> bytes:
        """What is signed: the printed hash without its newline."""
        return str(self.digest).encode("ascii")

    def serialize(self) -> bytes:
        """The file."""
        return self.body + b"--\n" + self.hash_text + b"\n" + self.signature

    @classmethod
    def parse(cls, raw: bytes, *, what: str, limit: int) -> Self:
        """Cut a file of at most *limit* bytes into its parts; MalformedData names it as *what*."""
        if len(raw) > limit:
            raise _malformed(what, f"it is longer than {limit} bytes")
        body, mark, rest = raw.partition(_END_OF_BODY)
        if not mark:
            raise _malformed(what, "the line '--' that ends its text is missing")
        printed, newline, signature = rest.partition(b"\n")
        if not newline or not signature:
            raise _malformed(what, "it is not signed")
        if len(signature) > MAX_SIGNATURE_BYTES:
            raise _malformed(what, f"its signature is longer than {MAX_SIGNATURE_BYTES} bytes")
        try:
            digest = Digest.parse(printed.decode("ascii", "backslashreplace"))
        except MalformedData as error:
            raise _malformed(what, f"the line after '--' is no hash: {error.why}") from error
        return cls(body=body + b"\n", digest=digest, signature=signature)

    @classmethod
    def write(cls, body: bytes, *, algorithm: Algorithm, sign: Callable[[bytes], bytes], what: str, limit: int) -> Self:
        """Sign *body*; LimitExceeded when the file would pass *limit* bytes."""
        digest = Digest.of(body, algorithm)
        letter = cls(body=body, digest=digest, signature=sign(str(digest).encode("ascii")))
        size = len(letter.serialize())
        if size > limit:
            raise LimitExceeded(f"{what} is too large", f"it has {size} bytes, clients read {limit}", "shorten it")
        return letter

    def check_body(self, what: str) -> None:
        """VerificationFailed unless the printed hash is that of the body."""
        actual = Digest.of(self.body, self.digest.algorithm)
        if actual != self.digest:
            raise VerificationFailed(
                f"{what} is not trusted",
                f"its text has the hash {actual}, not the printed {self.digest}",
                "it was changed after signing or damaged: fetch it again or from another place",
            )


def _malformed(what: str, why: str) -> MalformedData:
    return MalformedData(f"{what} cannot be read", why, "fetch it again or from another place")
