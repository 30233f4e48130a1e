#!/usr/bin/env bash
# Makes .venv with everything in the locks and `fondaco` itself. Needs python3 (3.11 or newer) and a package index, nothing else: what is
# missing to make a virtual environment comes through apt. Does nothing when the locks are what was installed last.
#
# Package indexes are those of the machine's pip or uv settings; none is named here.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=.venv
stamp=$venv/.installed

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Programs in the environment carry absolute paths: a moved tree or another Python needs a new one.
place() { printf '%s %s\n' "$PWD" "$(command -v "$python")"; }

fingerprint() {
    {
        place
        sha256sum requirements/*.txt pyproject.toml src/fondaco/__init__.py scripts/setup.sh
    } | sha256sum
}

have_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

want_python() {
    command -v "$python" >/dev/null || fail "there is no $python. Install Python 3.11 or newer, or name it: make setup PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version) is too old. Name a Python 3.11 or newer: make setup PYTHON=/path/to/python3"
    have_venv && return
    # Debian ships `venv` without what it needs to work.
    scripts/apt-install.sh python3-venv || fail "$python cannot make virtual environments; install python3-venv and run this again."
    have_venv || fail "$python cannot make virtual environments, even with python3-venv installed."
}

pip_setting() { sed -n "s/^\(:env:\|global\|install\)\.$1='\(.*\)'\$/\2/p" <<<"$pip_settings" | head -n 1 | sed 's/\\n/ /g'; }

# uv does not read pip's settings; where it has none of its own it gets pip's.
lend_pip_settings_to_uv() {
    local pip_settings index
    pip_settings=$("$venv/bin/pip" config list)
    if [ -z "${UV_INDEX_URL:-}${UV_DEFAULT_INDEX:-}${UV_INDEX:-}" ]; then
        index=$(pip_setting index-url)
        if [ -n "$index" ]; then export UV_DEFAULT_INDEX=$index; fi
        index=$(pip_setting extra-index-url)
        # Hashes are pinned, so taking the best version of all indexes, as pip does, is safe.
        if [ -n "$index" ]; then export UV_INDEX=$index UV_INDEX_STRATEGY=unsafe-best-match; fi
    fi
    if [ -z "${SSL_CERT_FILE:-}" ] && [ -n "$(pip_setting cert)" ]; then
        SSL_CERT_FILE=$(pip_setting cert)
        export SSL_CERT_FILE
    fi
}

install_locked() {
    # uv installs the same lock eight times faster than pip; where there is no uv for this machine, pip does it.
    if "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt; then
        lend_pip_settings_to_uv
        export UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=$PWD/$venv
        "$venv/bin/uv" pip install --quiet --require-hashes -r requirements/dev.txt && return
        echo "setup: uv could not install the lock; pip tries" >&2
    fi
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
}

fingerprint_now=$(fingerprint)
if [ -x "$venv/bin/fondaco" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$fingerprint_now" ]; then
    exit 0
fi
want_python
echo "setup: installing into $venv" >&2
if [ "$(cat "$venv/.place" 2>/dev/null)" != "$(place)" ] || ! "$venv/bin/pip" --version >/dev/null 2>&1; then
    "$python" -m venv --clear "$venv"
    place >"$venv/.place"
fi
install_locked
# The build backend is in the lock, so nothing is fetched here.
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
printf '%s\n' "$fingerprint_now" >"$stamp"
