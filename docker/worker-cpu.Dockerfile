# The pipeline with Tesseract, on CPU: a command by itself, or a worker of a Beam cluster. Build it with
# docker/build.sh worker-cpu, or from the repository's root:
#   docker build -f docker/worker-cpu.Dockerfile -t m3h-worker .
ARG PYTHON_BASE=docker.io/library/python:3.12.11-slim-bookworm@sha256:519591d6871b7bc437060736b9f7456b8731f1499a57e22e6c285135ae657bf7
ARG BEAM_BASE=docker.io/apache/beam_python3.12_sdk:2.77.0
# hadolint ignore=DL3006
FROM ${BEAM_BASE} AS beam

FROM ${PYTHON_BASE}
# For a GPU: --build-arg TORCH=cuda. See install-torch.sh. Up to here it is the trainer's recipe, whose layer is used again.
ARG TORCH=cpu
ARG TORCH_INDEX=""
ENV PATH=/opt/m3h/bin:$PATH
WORKDIR /m3h
COPY constraints.txt ./
COPY docker/install-torch.sh docker/without_cuda.py docker/
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem ./docker/install-torch.sh
COPY docker/install-tesseract.sh docker/
RUN ./docker/install-tesseract.sh && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
# One thread a process: with more, Tesseract processes fight over the cores. Beam's boot must not make an environment of its own.
# Torch asks for the user's name, which a user chosen by `docker run --user` does not have.
ENV USER=m3h \
    OMP_THREAD_LIMIT=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
COPY --from=beam /opt/apache/beam/boot /opt/apache/beam/boot
COPY docker/install-m3h.sh docker/entrypoint.sh docker/health.sh docker/
COPY setup.py pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY model model
COPY sample sample
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem ./docker/install-m3h.sh pipeline,ocr
LABEL org.opencontainers.image.title="m3h worker" \
      org.opencontainers.image.description="Makes keyphrase datasets of dumps of posts, alone or as a worker of a Beam cluster" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 1000
WORKDIR /data
# As Ctrl-C: a command ends so that it can be continued.
STOPSIGNAL SIGINT
HEALTHCHECK CMD ["/m3h/docker/health.sh"]
ENTRYPOINT ["/m3h/docker/entrypoint.sh"]
