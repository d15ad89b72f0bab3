# syntax=docker/dockerfile:1
#
#     docker build -t eventbus .
#     docker build --build-arg EXTRAS=uvloop,parquet -t eventbus:parquet .
#     docker build --target sbom --output dist .          # only the list of what is in it
#
# docs/deployment.md says how to run it. The steps of the first stage are run by a test, without an engine.

ARG PYTHON_VERSION=3.11
ARG DEBIAN_VERSION=bookworm

FROM python:${PYTHON_VERSION}-slim-${DEBIAN_VERSION} AS build
# What is installed beside the core; pyproject.toml lists what there is.
ARG EXTRAS=avro,compression,ed25519,regex,uvloop
# If given, the build fails unless this is the version that is built.
ARG VERSION=
ARG PREFIX=/opt/eventbus
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
SHELL ["/bin/sh", "-eu", "-c"]
WORKDIR /src

# What builds stays in this stage.
COPY tests/constraints.txt constraints.txt
RUN python -m venv tools && \
    tools/bin/pip install -c constraints.txt hatchling cyclonedx-bom && \
    python -m venv --without-pip "$PREFIX"

COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY eventbus eventbus
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels .

# Wheels alone: nothing is compiled, so nothing that compiles has to be here.
RUN tools/bin/pip --python "$PREFIX/bin/python" install -c constraints.txt --only-binary :all: \
      "$(echo wheels/eventbus-*.whl)[$EXTRAS]" && \
    "$PREFIX/bin/python" -m compileall -q "$PREFIX/lib" && \
    test "${VERSION:-$("$PREFIX/bin/eventbus" --version)}" = "$("$PREFIX/bin/eventbus" --version)"

# What is in it, as a CycloneDX document; and a folder for what a daemon without MongoDB's state keeps.
RUN mkdir -p "$PREFIX/share" state && \
    tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
      --output-reproducible --of JSON -o "$PREFIX/share/eventbus.cdx.json" "$PREFIX/bin/python"

FROM scratch AS sbom
ARG PREFIX=/opt/eventbus
COPY --from=build ${PREFIX}/share/eventbus.cdx.json /

FROM python:${PYTHON_VERSION}-slim-${DEBIAN_VERSION} AS eventbus
ARG PREFIX=/opt/eventbus
ARG VERSION=
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="eventbus" \
      org.opencontainers.image.description="A daemon that carries every MongoDB change to Kafka, webhooks, Redis and files, and loses none." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# The root file system may be read-only: nothing is written but what the configuration names.
ENV PATH=${PREFIX}/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
COPY --from=build ${PREFIX} ${PREFIX}
COPY --from=build --chown=65532:65532 /src/state /var/lib/eventbus

USER 65532:65532
WORKDIR /var/lib/eventbus
EXPOSE 8686
# Ask from within, so it works wherever the server listens. EVENTBUS_PORT, if the configuration has another port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/livez' % os.environ.get('EVENTBUS_PORT', '8686'), timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["eventbus"]
CMD ["run", "-c", "/etc/eventbus/eventbus.yaml"]
