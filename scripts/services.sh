#!/usr/bin/env bash
# The real services that tests run against and that come from Debian: Ceph with its S3 gateway. Tests start them, on loopback.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/apt-install.sh ceph-mon ceph-osd radosgw ceph-common
