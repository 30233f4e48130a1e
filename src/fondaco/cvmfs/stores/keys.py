"""What may be the key of a stored file, whichever store holds it."""

from fondaco.cvmfs.errors import StoreFailed

_FORBIDDEN_PARTS = frozenset(("", ".", ".."))


def check_key(key: str) -> str:
    """*key* if it names one file below a repository's root, else StoreFailed.

    Keys are made of hash texts out of foreign catalogs, among others: nothing may lead out of the repository.
    """
    if "\0" in key or not _FORBIDDEN_PARTS.isdisjoint(key.split("/")):
        raise StoreFailed(
            f"{key[:200]!r} is no key of a repository's file",
            "keys are relative and have no empty part, '.', '..' or NUL",
            "run check on the repository",
        )
    return key


def is_below(key: str, prefix: str) -> bool:
    """Whether *key* lies in the folder *prefix* (with or without its slash; ``""`` is the whole repository)."""
    folder = prefix.rstrip("/")
    return not folder or key.startswith(folder + "/")
