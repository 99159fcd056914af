# The pipeline with Tesseract, on CPU. Build from the repository's root:
#   docker build -f docker/worker-cpu.Dockerfile -t m3h-worker .
FROM python:3.12.11-slim-bookworm

# One thread a process: with more, Tesseract processes fight over the cores.
ENV OMP_THREAD_LIMIT=1
WORKDIR /m3h
COPY docker/install-tesseract.sh docker/install-tesseract.sh
RUN ./docker/install-tesseract.sh && rm -rf /var/lib/apt/lists/*
COPY setup.py pyproject.toml constraints.txt README.md ./
COPY schemas schemas
COPY pipeline pipeline
COPY model model
RUN pip install --no-cache-dir -c constraints.txt '.[pipeline]' && useradd --create-home m3h
USER m3h
WORKDIR /data
ENTRYPOINT ["python", "-m", "pipeline"]
