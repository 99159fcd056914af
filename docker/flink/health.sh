#!/bin/bash
# Does this container answer? A JobManager by its page, a job server by its port; a TaskManager is well while it runs.
set -eu
first=$(tr '\0' ' ' </proc/1/cmdline)
case "$first" in
    *ClusterEntrypoint*) port=8081 ;;
    *FlinkJobServerDriver*) port=8099 ;;
    *) exit 0 ;;
esac
exec 3<>"/dev/tcp/$(hostname)/$port"
