# Flink with Beam's runner, and Beam's job server beside it (compose.yaml starts either). From the repository's root:
#   docker build -f docker/flink.Dockerfile -t m3h-flink .
FROM maven:3.9.9-eclipse-temurin-17 AS jars
COPY docker/flink/pom.xml /beam/pom.xml
WORKDIR /beam
# The job server needs all of it; Flink has its own classes already.
RUN mvn -B -q -ntp org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies -DoutputDirectory=all \
    && mvn -B -q -ntp org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies -DoutputDirectory=lib \
       -DexcludeGroupIds=org.apache.flink,org.slf4j

FROM flink:1.19.0-scala_2.12-java17
# The job server sends each of its jars along with each job, but for those in a folder of this name.
COPY --from=jars /beam/all /opt/gradle/wrapper
COPY --from=jars /beam/lib /opt/flink/lib
RUN mkdir /staged && chown 9999:9999 /staged
USER 9999
