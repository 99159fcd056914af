# What we take of Beam's public image; build.sh --local-bases builds the program from Beam's Go module.
FROM scratch
COPY container /opt/apache/beam/boot
