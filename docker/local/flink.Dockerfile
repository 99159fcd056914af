# In place of Flink's public image; build.sh --local-bases puts the jars and the entry point into the context.
FROM localhost/m3h-base-java
COPY flink/bin /opt/flink/bin
COPY flink/*.jar /opt/flink/lib/
COPY flink-entrypoint.sh /docker-entrypoint.sh
RUN useradd --uid 9999 --create-home flink
ENV FLINK_HOME=/opt/flink
WORKDIR /opt/flink
ENTRYPOINT ["/docker-entrypoint.sh"]
