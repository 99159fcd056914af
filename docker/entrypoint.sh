#!/bin/sh
# A worker speaks Beam's boot protocol when Beam starts it; else what follows is a command of ours.
#   docker run m3h-worker build --dumps ... --dataset ...     one machine
#   docker run m3h-worker --worker_pool                       a pool of workers beside a Flink TaskManager
set -eu
case "${1:-}" in
    --worker_pool* | --id=* | --provision_endpoint=*) exec /opt/apache/beam/boot "$@" ;;
    *) exec m3h "$@" ;;
esac
