# One Dockerfile for all services: docker build --build-arg SERVICE=auth-service .
# The image contains `shared` and the service, that of catalog-service also the storefront's page. It runs as an
# unprivileged user and writes no files.

FROM python:3.13-slim-trixie AS build
ARG SERVICE=catalog-service
RUN python -m venv --without-pip /venv
# Install the packages first, so that a code change does not invalidate this layer.
COPY ${SERVICE}/requirements.txt /tmp/requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /venv/bin/python install --disable-pip-version-check --root-user-action ignore \
        --require-hashes --no-deps --only-binary :all: -r /tmp/requirements.txt
WORKDIR /app
COPY shared/ shared/
COPY ${SERVICE}/ ./
COPY gateway/storefront/index.html /tmp/
# Only catalog-service completes the storefront's page, and has images of the sample to draw.
RUN if [ -f catalog/commands/draw.py ]; then \
        install -D /tmp/index.html gateway/storefront/index.html \
        && PYTHONPATH=/app /venv/bin/python -m catalog.commands.draw; \
    fi
# Compile the bytecode now, because the root file system will be read-only. The checkout may have been private.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app && chmod -R a+rX /app

FROM python:3.13-slim-trixie
ARG SERVICE=catalog-service
COPY --from=build /venv /venv
COPY --from=build /app /app
# A new volume that is mounted here gets this owner.
RUN install -d -o 10001 -g 10001 -m 700 /spool
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SERVICE=${SERVICE} PORT=5000
USER 10001:10001
EXPOSE 5000
STOPSIGNAL SIGTERM
# A service starts in about 3 s; the first check runs after one interval.
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "shared.healthcheck"]
CMD ["gunicorn", "-c", "python:shared.gunicorn_conf"]
