#!/bin/bash
# A JobManager or a TaskManager with the settings in FLINK_PROPERTIES, as the public image starts them.
set -euo pipefail
case "${1:-}" in
    jobmanager | taskmanager) ;;
    *) exec "$@" ;;
esac
export FLINK_CONF_DIR=/tmp/conf FLINK_LOG_DIR=/tmp FLINK_PID_DIR=/tmp # the rest of the file system may be read-only
cp -r "$FLINK_HOME/conf" $FLINK_CONF_DIR
settings=(-rmKV taskmanager.host=localhost)
for key in rest.address rest.bind-address jobmanager.bind-host taskmanager.bind-host; do
    settings+=(-repKV "$key,localhost,0.0.0.0")
done
while IFS=: read -r key value; do
    [ -z "$key" ] || settings+=("-D${key// /}=$(echo "$value" | xargs)")
done <<<"${FLINK_PROPERTIES:-}"
"$FLINK_HOME/bin/config-parser-utils.sh" $FLINK_CONF_DIR "$FLINK_HOME/bin" "$FLINK_HOME/lib" "${settings[@]}"
exec "$FLINK_HOME/bin/$1.sh" start-foreground
