#!/bin/sh
# Beam's job server, which takes pipelines and hands them to Flink: job-server.sh --flink-master=HOST:8081 --job-host=HOST ...
set -eu
opens=""
for package in java.io java.lang java.lang.invoke java.lang.reflect java.net java.nio java.text java.time java.util \
    java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks sun.nio.ch; do
    opens="$opens --add-opens=java.base/$package=ALL-UNNAMED" # Java 17 lets nobody in unasked
done
# shellcheck disable=SC2086
exec java -Xmx1g $opens -cp "/opt/gradle/wrapper/*" org.apache.beam.runners.flink.FlinkJobServerDriver \
    --expansion-port=-1 "$@"
