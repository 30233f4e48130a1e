#!/usr/bin/env bash
# Makes the locks in requirements/ again: `scripts/lock.sh` keeps what still fits, `scripts/lock.sh --upgrade` takes the newest.
# They name versions and hashes and no index, so that they serve behind any mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never UV_CUSTOM_COMPILE_COMMAND="make lock"

compile() {
    .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links "$@" >/dev/null
}

compile pyproject.toml --extra local -o requirements/main.txt "$@"
compile pyproject.toml --extra dev -c requirements/main.txt -o requirements/dev.txt "$@"
compile pyproject.toml --extra mount -c requirements/dev.txt -o requirements/mount.txt "$@"
compile requirements/uv.in -o requirements/uv.txt "$@"
if grep -nE '^ *(-|--[a-z]*index)|://' requirements/*.txt | grep -v -- '--hash='; then
    echo "lock: the lines above name an index or a file; locks must not" >&2
    exit 1
fi
