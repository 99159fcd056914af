#!/bin/bash
# A JobManager or a TaskManager with the settings in FLINK_PROPERTIES, as the public image starts them: the shell scripts that
# it has for this are in no package, and what they work out is worked out here by the same Java class.
set -euo pipefail
case "${1:-}" in
    jobmanager) class=entrypoint.StandaloneSessionClusterEntrypoint kind=JM ;;
    taskmanager) class=taskexecutor.TaskManagerRunner kind=TM ;;
    *)
        echo "error: expected the word jobmanager or taskmanager, got ${*:-none}" >&2
        exit 2
        ;;
esac
conf=/tmp/conf # the rest of the file system may be read-only
mkdir -p $conf
{
    echo "${FLINK_PROPERTIES:-}"
    while read -r line; do
        [[ ${FLINK_PROPERTIES:-} == *"${line%%:*}:"* ]] || echo "$line"
    done <<-END
		jobmanager.memory.process.size: 1600m
		taskmanager.memory.process.size: 1728m
		rest.bind-address: 0.0.0.0
		jobmanager.bind-host: 0.0.0.0
		taskmanager.bind-host: 0.0.0.0
	END
} >$conf/config.yaml
cat >$conf/log4j.properties <<-END
	rootLogger.level = INFO
	rootLogger.appenderRef.console.ref = console
	appender.console.name = console
	appender.console.type = CONSOLE
	appender.console.layout.type = PatternLayout
	appender.console.layout.pattern = %d{ISO8601} %-5p %c %x - %m%n
END
opens=()
for package in lang lang.reflect io net nio text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
    opens+=("--add-opens=java.base/java.$package=ALL-UNNAMED") # Java 17 lets nobody in unasked
done
if ! printed=$(java -cp "$FLINK_HOME/bin/*:$FLINK_HOME/lib/*" org.apache.flink.runtime.util.bash.BashJavaUtils \
    "GET_${kind}_RESOURCE_PARAMS" --configDir $conf 2>$conf/faults); then
    fault=$(sed -n 's/^Exception in thread "main" [^ ]*: //p' $conf/faults)
    echo "error: Flink refuses its settings: ${fault:-$(cat $conf/faults)}" >&2
    exit 2
fi
{ read -r jvm && read -r dynamic; } < <(echo "$printed" | sed -n 's/^.*BASH_JAVA_UTILS_EXEC_RESULT://p')
# shellcheck disable=SC2086
exec java $jvm "${opens[@]}" --add-opens=java.base/sun.nio.ch=ALL-UNNAMED -Dlog4j.configurationFile=$conf/log4j.properties \
    -cp "$FLINK_HOME/lib/*" "org.apache.flink.runtime.$class" --configDir $conf $dynamic
