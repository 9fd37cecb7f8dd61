# The gateway of reefmesh: the door for devices. From the top of the repository:
#   docker build -f deploy/docker/gateway.Dockerfile -t reefmesh/gateway:local .
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
COPY services/gateway/pyproject.toml services/gateway/
RUN ["python", "install.py", "dependencies", "gateway"]
COPY shared/src shared/src
COPY services/gateway/src services/gateway/src
RUN ["python", "install.py", "packages", "gateway"]

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
    REEFMESH_GATEWAY_DOOR_HOST=0.0.0.0 \
    REEFMESH_GATEWAY_DOOR_PORT=8090 \
    REEFMESH_LOG_FORMAT=json
WORKDIR /var/lib/reefmesh
VOLUME /var/lib/reefmesh
USER 10001:10001
EXPOSE 8080
# The door for devices.
EXPOSE 8090
# The drain time-out is 90 s: give a container longer than that to stop (docker stop --time 100, stop_grace_period, stopTimeout).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=7s --start-period=30s --retries=3 \
    CMD ["reefmesh-gateway", "--check-health"]
ENTRYPOINT ["reefmesh-gateway"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="reefmesh-gateway" \
      org.opencontainers.image.description="The door for devices: knows them by tokens and certificates, limits them, and hands what they report to the mesh" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
