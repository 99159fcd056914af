#!/bin/sh
# A worker speaks Beam's boot protocol when Beam starts it; else what follows is a command of ours.
#   docker run m3h-worker build --dumps ... --dataset ...     one machine
#   docker run m3h-worker --worker_pool                       a pool of workers beside a Flink TaskManager
set -eu
# The image brings its word statistics, which take seconds to make. They are the user's, or all there is of a cache where
# the user's cannot be written.
cache=${XDG_CACHE_HOME:-${HOME:-/dev/null}/.cache}
if mkdir -p "$cache/m3h" 2>/dev/null && [ -w "$cache/m3h" ]; then
    [ -d "$cache/m3h/statistics" ] || ln -sfn /m3h/cache/m3h/statistics "$cache/m3h/statistics"
else
    export XDG_CACHE_HOME=/m3h/cache
fi
case "${1:-}" in
    --worker_pool* | --id=* | --provision_endpoint=*)
        cd /tmp # boot writes pipeline_options.json where it stands
        exec /opt/apache/beam/boot "$@"
        ;;
    *) exec m3h "$@" ;;
esac
