#!/bin/sh
# Does what this container runs answer? Its port tells of a pool of workers or a page; a command is well while it runs.
set -eu
first=$(tr '\0' ' ' </proc/1/cmdline)
case "$first" in
    *" --worker_pool"*) port=50000 ;;
    *" serve "*--port*) port=$(echo "$first" | sed 's/.*--port[ =]*\([0-9]*\).*/\1/') ;;
    *" serve "*) port=8765 ;;
    *) exit 0 ;;
esac
exec python -c "import socket; socket.create_connection(('localhost', $port), timeout=3)"
