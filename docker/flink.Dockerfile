# Flink with Beam's runner, and Beam's job server beside it (compose.yaml starts either). Build it with docker/build.sh flink,
# or from the repository's root:
#   docker build -f docker/flink.Dockerfile -t m3h-flink .
ARG MAVEN_BASE=docker.io/library/maven:3.9.9-eclipse-temurin-17@sha256:f58d59b6273e785ac0a4477f6e9b5ba1d7731c75b906c0f7b34076f1851318cc
ARG FLINK_BASE=docker.io/library/flink:1.19.0-scala_2.12-java17
# hadolint ignore=DL3006
FROM ${MAVEN_BASE} AS jars
COPY docker/flink/pom.xml docker/flink/copy-jars.sh /beam/
WORKDIR /beam
RUN --mount=type=secret,id=settings.xml --mount=type=secret,id=cacerts ./copy-jars.sh

FROM ${FLINK_BASE}
# The job server sends each of its jars along with each job, but for those in a folder of this name.
COPY --from=jars /beam/all /opt/gradle/wrapper
COPY --from=jars /beam/lib /opt/flink/lib
COPY docker/flink/health.sh docker/flink/job-server.sh /opt/m3h/
RUN mkdir -p /staged && chown 9999:9999 /staged
LABEL org.opencontainers.image.title="m3h flink" \
      org.opencontainers.image.description="Flink with Beam's runner and job server, for the pipelines of m3h" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 9999
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["/opt/m3h/health.sh"]
