#!/usr/bin/env bash
# The real services that tests run against and that come from Debian: Ceph with its S3 gateway, which tests start on
# loopback; and FUSE with what its Python binding is compiled with, which goes into .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/apt-install.sh ceph-mon ceph-osd radosgw ceph-common fuse3 libfuse3-dev pkg-config gcc libc6-dev rsync

[ -x .venv/bin/pip ] || exit 0
lock=$(sha256sum requirements/mount.txt)
if [ "$(cat .venv/.mount 2>/dev/null)" != "$lock" ] || ! .venv/bin/python -c 'import pyfuse3' 2>/dev/null; then
    # A Python of the system has its headers in a package of their own; any other brings them.
    .venv/bin/python -c 'import os, sysconfig; assert os.path.exists(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null ||
        scripts/apt-install.sh python3-dev
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mount.txt
    printf '%s\n' "$lock" >.venv/.mount
fi
