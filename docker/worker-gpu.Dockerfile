# The pipeline with Tesseract, CUDA and detectron2: a command by itself, or a worker of a Beam cluster. Build it with
# docker/build.sh worker-gpu, or from the repository's root:
#   docker build -f docker/worker-gpu.Dockerfile -t m3h-worker-gpu .
# detectron2 has no package: it is compiled here from its source, at one commit, against the torch that is installed.
ARG CUDA_BASE=docker.io/nvidia/cuda:13.0.1-devel-ubuntu24.04@sha256:7d2f6a8c2071d911524f95061a0db363e24d27aa51ec831fcccf9e76eb72bc92
ARG UBUNTU_BASE=docker.io/library/ubuntu:24.04@sha256:4fbb8e6a8395de5a7550b33509421a2bafbc0aab6c06ba2cef9ebffbc7092d90
ARG BEAM_BASE=docker.io/apache/beam_python3.12_sdk:2.77.0
# hadolint ignore=DL3006
FROM ${BEAM_BASE} AS beam

FROM ${CUDA_BASE} AS detectron2
# A commit, or "none" to leave it out.
ARG DETECTRON2=02b5c4e295e990042a714712c21dc79b731e8833
ARG TORCH=cuda
ARG TORCH_INDEX=""
# The kinds of GPU it is compiled for: T4, A100, L4, H100 and H200.
ENV TORCH_CUDA_ARCH_LIST="7.5 8.0 8.9 9.0" \
    FORCE_CUDA=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends git python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
WORKDIR /m3h
COPY constraints.txt ./
COPY docker/install-torch.sh docker/without_cuda.py docker/
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem ./docker/install-torch.sh
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    [ "$DETECTRON2" = none ] || { export PIP_CONFIG_FILE=/run/secrets/pip.conf \
    && /opt/m3h/bin/pip install --no-cache-dir setuptools==80.9.0 wheel==0.45.1 ninja==1.13.0 \
    && /opt/m3h/bin/pip install --no-cache-dir --no-build-isolation -c constraints.txt \
       "git+https://github.com/facebookresearch/detectron2.git@${DETECTRON2}"; }

FROM ${UBUNTU_BASE}
# Torch asks for the user's name, which a user chosen by `docker run --user` does not have.
ENV PATH=/opt/m3h/bin:$PATH \
    USER=m3h \
    OMP_THREAD_LIMIT=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
WORKDIR /m3h
COPY docker/install-tesseract.sh docker/install-m3h.sh docker/entrypoint.sh docker/health.sh docker/
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && ./docker/install-tesseract.sh \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
COPY --from=beam /opt/apache/beam/boot /opt/apache/beam/boot
COPY --from=detectron2 /opt/m3h /opt/m3h
COPY setup.py pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY model model
COPY sample sample
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem ./docker/install-m3h.sh pipeline,ocr 1001
LABEL org.opencontainers.image.title="m3h GPU worker" \
      org.opencontainers.image.description="Makes keyphrase datasets of dumps of posts, with CUDA and detectron2" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 1001
WORKDIR /data
STOPSIGNAL SIGINT
HEALTHCHECK CMD ["/m3h/docker/health.sh"]
ENTRYPOINT ["/m3h/docker/entrypoint.sh"]
