"""Tar archives made in memory, and what they become."""

import io
import tarfile
from collections.abc import Iterable

from fondaco.cvmfs.tarball.members import TarOptions
from fondaco.cvmfs.tarball.publish import ingest_tar
from fondaco.cvmfs.transaction import Published
from tests.cvmfs.repositories import Place

HERE = TarOptions(processes=0)  # in this process: forking costs more than such small archives

Made = tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **attributes: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mtime = kind, link, 1000
    for key, value in attributes.items():
        setattr(made, key, value)
    return made


def a_file(name: str, content: bytes = b"x", **attributes: object) -> Made:
    return member(name, **attributes), content  # type: ignore[arg-type]  # attributes of a TarInfo


def a_link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Made:
    return member(name, kind, target), b""


def hard(name: str, target: str) -> Made:
    return a_link(name, target, tarfile.LNKTYPE)


def other(name: str, kind: bytes, **attributes: object) -> Made:
    return member(name, kind, **attributes), b""  # type: ignore[arg-type]  # attributes of a TarInfo


def tar(members: Iterable[Made], *, form: int = tarfile.PAX_FORMAT, mode: str = "w:") -> bytes:
    memory = io.BytesIO()
    options = {"format": form, "encoding": "utf-8", "errors": "surrogateescape"}
    with tarfile.open(fileobj=memory, mode=mode, **options) as archive:  # type: ignore[call-overload]  # drawn together
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def publish_tar(
    place: Place, data: bytes, at: str = "", *, options: TarOptions = HERE, delete: Iterable[str] = ()
) -> Published | None:
    place.clock.now += 60
    with place.publisher.transaction() as transaction:
        for path in delete:
            transaction.remove(path)
        ingest_tar(transaction, io.BufferedReader(io.BytesIO(data)), at, options=options)  # type: ignore[arg-type]  # raw by use
        return transaction.commit()
