"""Variables in symbolic links: ``$(NAME)`` and ``$(NAME:-default)``, as the stock client expands them.

Source: ``SqlDirent::ExpandSymlink`` in cvmfs/catalog_sql.cc. What is expanded is not looked at again, a ``$(`` without
its ``)`` stays, and one at the very end of a target is text.
"""

from collections.abc import Mapping


def expand(target: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    """*target* with its variables replaced; an unset one without a default becomes nothing."""
    parts = []
    position = 0
    while (start := target.find(b"$(", position)) >= 0:
        end = target.find(b")", start + 2)
        if end < 0:
            break
        parts.append(target[position:start])
        name, _, default = target[start + 2 : end].partition(b":-")
        parts.append(environment.get(name.partition(b"\0")[0], default))
        position = end + 1
    return b"".join(parts) + target[position:]
