"""Fully qualified repository names, such as ``software.example.org``.

Characters and length are those of ``is_valid_repo_name`` in cvmfs/server/cvmfs_server_util.sh and of
``RepositorySanitizer`` in cvmfs/sanitizer.h; upper case is allowed there and therefore here. The dot is needed because
mount/mount.cvmfs.cc appends the site's default domain to a name without one: nobody could mount it under its own name.
"""

import re

from fondaco.cvmfs.errors import BadName

MAX_FQRN_CHARACTERS = 60  # cvmfs/sanitizer.h, RepositorySanitizer

_FQRN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


def fqrn_fault(text: str) -> str | None:
    """Why *text* cannot be the name of a repository, or None."""
    if not text:
        return "it is empty"
    if len(text) > MAX_FQRN_CHARACTERS:
        return f"it is longer than {MAX_FQRN_CHARACTERS} characters"
    if not _FQRN.fullmatch(text):
        return "only ASCII letters, digits, '-', '_' and '.' are allowed, and the first must be a letter or digit"
    if "." not in text:
        return "it has no domain; clients would append their own"
    return None


def check_fqrn(text: str) -> str:
    """*text* if it can be the name of a repository, else BadName with the reason."""
    fault = fqrn_fault(text)
    if fault:
        raise BadName(f"{text[:80]!r} cannot be the name of a repository", fault, "use one like software.example.org")
    return text
