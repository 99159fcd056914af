#!/bin/sh
# Install what builds images without an engine and runs them for the tests; one clear line when that may not be.
set -u

found() {
    for name in buildah debootstrap bwrap ip; do
        command -v $name >/dev/null || return 1
    done
}

found && exit 0
[ "$(id -u)" -eq 0 ] || exit 0 # nobody else can use them: the tests say so
command -v apt-get >/dev/null && apt-get update -qq >/dev/null 2>&1 &&
    apt-get install -y -qq --no-install-recommends buildah debootstrap bubblewrap iproute2 >/dev/null 2>&1
found || echo "note: no buildah, debootstrap, bwrap and ip, and they cannot be installed from here; tests of images are skipped" >&2
