# The pipeline with Tesseract, on CPU: a command by itself, or a worker of a Beam cluster. From the repository's root:
#   docker build -f docker/worker-cpu.Dockerfile -t m3h-worker .
FROM apache/beam_python3.12_sdk:2.77.0 AS beam

FROM python:3.12.11-slim-bookworm
# One thread a process: with more, Tesseract processes fight over the cores. Beam's boot must not make an environment of its own.
ENV OMP_THREAD_LIMIT=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
WORKDIR /m3h
COPY docker/install-tesseract.sh docker/entrypoint.sh docker/
RUN ./docker/install-tesseract.sh && rm -rf /var/lib/apt/lists/*
COPY --from=beam /opt/apache/beam/boot /opt/apache/beam/boot
COPY setup.py pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY model model
COPY sample sample
RUN pip install --no-cache-dir -c constraints.txt '.[pipeline,ocr]' && useradd --uid 1000 --create-home m3h
USER 1000
WORKDIR /data
ENTRYPOINT ["/m3h/docker/entrypoint.sh"]
