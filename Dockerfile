# The image of every role: server, worker, and one container for each run on Cloud Run or ECS.
# docker build --build-arg ANOMFLOW_EXTRAS=gcp,snowflake --tag anomflow .
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /opt/app

# Only the installer comes by itself; it checks the hashes of all others, also of those that an extra brings.
COPY requirements.lock requirements.image.lock pyproject.toml README.md LICENSE ./
RUN awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements.lock > /opt/uv.txt \
    && python -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --quiet --no-cache-dir --require-hashes --requirement /opt/uv.txt
ARG ANOMFLOW_EXTRAS=""
RUN python -m venv --without-pip /opt/venv \
    && /opt/tools/bin/uv pip install --quiet --no-cache --compile-bytecode --python /opt/venv/bin/python \
        --constraints requirements.image.lock --build-constraints requirements.lock \
        --editable ".${ANOMFLOW_EXTRAS:+[$ANOMFLOW_EXTRAS]}"

# Bytecode and kernels are made here, for any processor of the architecture, and read by runs that may write nothing.
COPY . .
ENV NUMBA_CPU_NAME=generic
RUN /opt/venv/bin/python -m compileall -q anomflow blocks cli flows tasks \
    && /opt/venv/bin/python -m anomflow.detectors.compile

FROM ${PYTHON_IMAGE} AS run
LABEL org.opencontainers.image.title="Anomflow" \
    org.opencontainers.image.description="Anomaly detection for metrics, as Prefect flows" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.source="https://github.com/anomflow/anomflow"

# Packages of Debian, such as git for deployments that clone a repository.
ARG DEBIAN_PACKAGES=""
# hadolint ignore=DL3008,SC2086
RUN if [ -n "$DEBIAN_PACKAGES" ]; then \
        apt-get update && apt-get install --yes --no-install-recommends $DEBIAN_PACKAGES && rm -rf /var/lib/apt/lists/*; \
    fi
RUN useradd --uid 10001 --no-log-init --create-home --home-dir /var/lib/anomflow anomflow

COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/app /opt/app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CPU_NAME=generic \
    ANOMFLOW_KERNELS=/opt/app \
    ANOMFLOW_HOME=/var/lib/anomflow \
    PREFECT_HOME=/tmp/prefect
WORKDIR /opt/app
USER 10001
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 CMD ["python", "-I", "docker/healthcheck.py"]
CMD ["anomflow", "--help"]
