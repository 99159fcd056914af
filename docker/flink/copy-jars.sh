#!/bin/sh
# Beam's runner for Flink in two folders, for the image: all/, which the job server needs, and lib/, without what Flink has.
# The builder's own settings and certificates of Maven are used where they were given.
set -eu
secrets=/run/secrets
[ ! -f $secrets/cacerts ] || export MAVEN_OPTS="-Djavax.net.ssl.trustStore=$secrets/cacerts"
copy() {
    mvn -B -q -ntp $([ ! -f $secrets/settings.xml ] || echo "--settings=$secrets/settings.xml") \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies "$@"
}
copy -DoutputDirectory=all
copy -DoutputDirectory=lib -DexcludeGroupIds=org.apache.flink,org.slf4j
