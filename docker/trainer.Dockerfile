# The trainer alone: torch, and nothing of the pipeline. Build it with docker/build.sh trainer, or from the repository's root:
#   docker build -f docker/trainer.Dockerfile -t m3h-trainer .
ARG PYTHON_BASE=docker.io/library/python:3.12.11-slim-bookworm@sha256:519591d6871b7bc437060736b9f7456b8731f1499a57e22e6c285135ae657bf7
FROM ${PYTHON_BASE}

# For a GPU: --build-arg TORCH=cuda. See install-torch.sh.
ARG TORCH=cpu
ARG TORCH_INDEX=""
ENV PATH=/opt/m3h/bin:$PATH
WORKDIR /m3h
COPY constraints.txt ./
COPY docker/install-torch.sh docker/without_cuda.py docker/
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem ./docker/install-torch.sh
COPY docker/install-m3h.sh docker/health.sh docker/
COPY setup.py pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY model model
COPY sample sample
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem ./docker/install-m3h.sh train
LABEL org.opencontainers.image.title="m3h trainer" \
      org.opencontainers.image.description="Trains and runs keyphrase models on datasets of m3h" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# Torch asks for the user's name, which a user chosen by `docker run --user` does not have.
ENV USER=m3h
USER 1000
WORKDIR /data
# As Ctrl-C: a command ends so that it can be continued.
STOPSIGNAL SIGINT
HEALTHCHECK CMD ["/m3h/docker/health.sh"]
ENTRYPOINT ["m3h"]
