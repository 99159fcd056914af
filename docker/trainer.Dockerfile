# The trainer alone: torch, and nothing of the pipeline. Build from the repository's root:
#   docker build -f docker/trainer.Dockerfile -t m3h-trainer .
FROM python:3.12.11-slim-bookworm

WORKDIR /m3h
COPY setup.py pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY model model
COPY sample sample
RUN pip install --no-cache-dir -c constraints.txt '.[train]' && useradd --uid 1000 --create-home m3h
USER 1000
WORKDIR /data
ENTRYPOINT ["m3h"]
