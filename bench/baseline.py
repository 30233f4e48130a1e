"""The measure beside which a publish is put: every file read, zlib level 6, SHA-1, written; one syncfs. One thread.

`python -I -S bench/baseline.py SOURCE TARGET`. Nothing of the project is in it, so that it stays what it is while the
project changes. It keeps no catalogs, signs nothing and knows no revisions: what a publisher adds to it is overhead.
"""

import ctypes
import hashlib
import os
import sys
import zlib


def main() -> None:
    source, target = sys.argv[1:]
    for byte in range(256):
        os.makedirs(f"{target}/{byte:02x}")  # noqa: PTH103 - as below
    for folder, _, names in os.walk(source):
        for name in names:
            with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 - pathlib would be measured too
                stored = zlib.compress(file.read(), 6)
            digest = hashlib.sha1(stored).hexdigest()
            with open(f"{target}/{digest[:2]}/{digest[2:]}", "wb") as file:  # noqa: PTH123 - as above
                file.write(stored)
    handle = os.open(target, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
        raise OSError(ctypes.get_errno(), "syncfs failed")


if __name__ == "__main__":
    main()
