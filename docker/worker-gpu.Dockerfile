# The pipeline with Tesseract, CUDA and detectron2: a command by itself, or a worker of a Beam cluster. From the root:
#   docker build -f docker/worker-gpu.Dockerfile -t m3h-worker-gpu .
# detectron2 has no package: it is compiled here from its source, at one commit, against the torch that is installed.
FROM apache/beam_python3.12_sdk:2.77.0 AS beam

FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS detectron2
ARG DETECTRON2=02b5c4e295e990042a714712c21dc79b731e8833
# The kinds of GPU it is compiled for: T4, A100, L4, H100 and H200.
ENV TORCH_CUDA_ARCH_LIST="7.5 8.0 8.9 9.0" \
    FORCE_CUDA=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends git python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /
RUN python3 -m venv /opt/m3h \
    && /opt/m3h/bin/pip install --no-cache-dir -c /constraints.txt torch torchvision setuptools==80.9.0 wheel==0.45.1 ninja==1.13.0 \
    && /opt/m3h/bin/pip install --no-cache-dir --no-build-isolation -c /constraints.txt \
       "git+https://github.com/facebookresearch/detectron2.git@${DETECTRON2}"

FROM ubuntu:24.04
ENV OMP_THREAD_LIMIT=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 \
    PATH=/opt/m3h/bin:$PATH
WORKDIR /m3h
COPY docker/install-tesseract.sh docker/entrypoint.sh docker/
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3 && ./docker/install-tesseract.sh \
    && rm -rf /var/lib/apt/lists/*
COPY --from=beam /opt/apache/beam/boot /opt/apache/beam/boot
COPY --from=detectron2 /opt/m3h /opt/m3h
COPY setup.py pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY model model
COPY sample sample
RUN pip install --no-cache-dir -c constraints.txt '.[pipeline,ocr]' && useradd --uid 1001 --create-home m3h
USER 1001
WORKDIR /data
ENTRYPOINT ["/m3h/docker/entrypoint.sh"]
