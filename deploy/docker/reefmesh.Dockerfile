# The `reefmesh` command of reefmesh. From the top of the repository:
#   docker build -f deploy/docker/reefmesh.Dockerfile -t reefmesh/reefmesh:local .
# PYTHON_IMAGE: any Debian-based Python from 3.11 up, from a registry of one's own for instance.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# What is optional and wanted here, of shared and of the service: postgresql,rabbitmq,otel,charts,apprise
ARG EXTRAS=postgresql,rabbitmq,charts,apprise
# Another package index, when it is given
ARG PIP_INDEX_URL
COPY constraints.txt deploy/docker/install.py ./
COPY shared/pyproject.toml shared/
COPY services/standalone/pyproject.toml services/standalone/
COPY services/ingest/pyproject.toml services/ingest/
COPY services/scoring/pyproject.toml services/scoring/
COPY services/alerts/pyproject.toml services/alerts/
COPY services/gateway/pyproject.toml services/gateway/
COPY services/dashboard/pyproject.toml services/dashboard/
RUN ["python", "install.py", "dependencies", "standalone", "ingest", "scoring", "alerts", "gateway", "dashboard"]
COPY shared/src shared/src
COPY services/standalone/src services/standalone/src
COPY services/ingest/src services/ingest/src
COPY services/scoring/src services/scoring/src
COPY services/alerts/src services/alerts/src
COPY services/gateway/src services/gateway/src
COPY services/dashboard/src services/dashboard/src
RUN ["python", "install.py", "packages", "standalone", "ingest", "scoring", "alerts", "gateway", "dashboard"]

FROM ${PYTHON_IMAGE}
# Nothing in here installs or builds: the base image's pip goes, and what would bring it back.
RUN python -c 'import ensurepip, os, pip, shutil; [shutil.rmtree(os.path.dirname(each.__file__)) for each in (ensurepip, pip)]' \
    && rm -f /usr/local/bin/pip* /usr/bin/pip* \
    && install -d -m 0700 -o 10001 -g 10001 /var/lib/reefmesh
COPY --from=build /opt/reefmesh /opt/reefmesh
# The file system may be read-only but for the volume. HOME and TMPDIR: what a library writes goes there too.
ENV PATH=/opt/reefmesh/bin:$PATH \
    HOME=/var/lib/reefmesh \
    TMPDIR=/var/lib/reefmesh \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    REEFMESH_HTTP_HOST=0.0.0.0 \
    REEFMESH_HTTP_PORT=8080 \
    REEFMESH_LOG_FORMAT=json \
    REEFMESH_HOME=/var/lib/reefmesh
WORKDIR /var/lib/reefmesh
VOLUME /var/lib/reefmesh
USER 10001:10001
EXPOSE 8080
# The drain time-out is 90 s: give a container longer than that to stop (docker stop --time 100, stop_grace_period, stopTimeout).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=7s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import sys; from reefmesh.observability.health_check import check_health; sys.exit(check_health('standalone', []))"]
ENTRYPOINT ["reefmesh"]
CMD ["up"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="reefmesh" \
      org.opencontainers.image.description="The reefmesh command: the whole mesh in one process" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
