# Bases in place of the public ones, of Debian's packages alone; build.sh --local-bases makes the context.
FROM scratch AS debian
ADD debian.tar /

FROM debian AS python
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

FROM debian AS java
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

FROM java AS maven
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends maven \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

FROM java AS flink
COPY flink/bin /opt/flink/bin
COPY flink/*.jar /opt/flink/lib/
COPY flink-entrypoint.sh /docker-entrypoint.sh
RUN useradd --uid 9999 --create-home flink
ENV FLINK_HOME=/opt/flink
WORKDIR /opt/flink
ENTRYPOINT ["/docker-entrypoint.sh"]

FROM scratch AS beam
COPY container /opt/apache/beam/boot
