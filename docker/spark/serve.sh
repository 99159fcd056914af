#!/bin/sh
# Beam's job server with Spark inside: serve.sh FOLDER_OF_JARS PORT [SPARK_MASTER]
set -eu
opens=""
for part in java.base/java.io java.base/java.lang java.base/java.lang.invoke java.base/java.lang.reflect \
    java.base/java.net java.base/java.nio java.base/java.util java.base/java.util.concurrent \
    java.base/java.util.concurrent.atomic java.base/sun.nio.ch java.base/sun.nio.cs \
    java.base/sun.security.action java.base/sun.util.calendar; do
    opens="$opens --add-opens=$part=ALL-UNNAMED" # as Spark's own programs do on Java 17
done
# shellcheck disable=SC2086
exec java -Xmx900m $opens -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$1/*" \
    org.apache.beam.runners.spark.SparkJobServerDriver \
    --job-port "$2" --artifact-port 0 --expansion-port 0 --spark-master-url "${3:-local[2]}"
