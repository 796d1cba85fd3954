# One image for the three services and the operator, and a second one for the local stack (target `local`).
#   docker build --target runtime -t localhost/notification-api:dev .
#   docker build --target local   -t localhost/notification-api-local:dev .
# The same sources and lock give the same files: hashes are required, times are not compiled into the bytecode.
# SOURCE_DATE_EPOCH (buildkit) or --timestamp (buildah) sets the times of the files too.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie

# ---- what both need -------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN python3 -m venv --without-pip /venv
COPY requirements.lock ./
RUN python3 -m pip --python /venv/bin/python install --quiet --require-hashes --no-deps --only-binary :all: --no-compile \
        -r requirements.lock
# botocore carries models of 400 services, 27 MB; these are the ones in use, and those that sign in by IRSA (sts) or SSO.
RUN cd /venv/lib/python3*/site-packages/botocore/data && \
    find . -mindepth 1 -maxdepth 1 -type d \
        ! -name sqs ! -name ssm ! -name sts ! -name cognito-idp ! -name sso ! -name sso-oidc -exec rm -r {} + && \
    find /venv -depth -type d \( -name tests -o -name test \) -exec rm -r {} +
COPY k8s/image/first_process.py ./
RUN site=$(/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
    mv first_process.py "$site" && echo "import first_process" > "$site/first_process.pth" && \
    echo /app/sdk/python > "$site/notification_api.pth"
COPY LICENSE ./
COPY services services
COPY k8s k8s
COPY sdk/python sdk/python
# Bytecode is not compared with its source at start: the file system is read-only, and 2.5 s of compiling are saved.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib /app

# ---- the base without what no program here uses: pip, test suites, documentation, package managers --------------
FROM ${PYTHON_IMAGE} AS base
# The public image comes without the standard library's bytecode. Debian's list of packages stays, for scanners.
RUN set -eu; lib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))'); \
    rm -rf "$lib"/test "$lib"/idlelib "$lib"/turtledemo "$lib"/tkinter "$lib"/ensurepip "$lib"/pydoc_data "$lib"/lib2to3 \
        "$lib"/config-* "$lib"/site-packages/* /usr/lib/python3/dist-packages/* /usr/local/bin/pip* /usr/bin/pip* /usr/local/bin/idle* \
        /usr/local/include /usr/include /usr/share/python-wheels /usr/share/doc /usr/share/man /usr/share/info \
        /usr/share/locale /usr/share/perl* /usr/lib/*/perl* /usr/bin/perl* /usr/lib/*/gconv /usr/lib/apt /usr/bin/apt* \
        /usr/lib/*/libapt-*.so* /var/lib/apt /var/cache /var/log /root/.cache /tmp/*; \
    python3 -m compileall -q --invalidation-mode unchecked-hash "$lib"; \
    mkdir -p /var/cache /var/log

# ---- the product -----------------------------------------------------------------------------------------------
# From scratch, because what a layer above deletes would still be shipped.
FROM scratch AS runtime
COPY --from=base / /
COPY --from=build /venv /venv
COPY --from=build /app /app
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="notification-api" \
      org.opencontainers.image.description="Token, ingest and processor services and their operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080 9090
ENTRYPOINT ["python"]
CMD ["-c", "print('Name a service: python -m services.token, services.ingest or services.processor')"]

# ---- the local stack, for trying without an account; never part of the product ---------------------------------
FROM build AS build-local
COPY requirements-local.lock ./
RUN python3 -m pip --python /venv/bin/python install --quiet --require-hashes --no-deps --only-binary :all: --no-compile \
        -r requirements-local.lock
COPY local local
# The application's files where `make frontend` has built them; without them a start page is served.
COPY frontend frontend
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib /app

FROM runtime AS local
LABEL org.opencontainers.image.title="notification-api-local" \
      org.opencontainers.image.description="Emulated AWS and Momento and the application, for trying and testing"
COPY --from=build-local /venv /venv
COPY --from=build-local /app /app
EXPOSE 4566 8080 8084 8085

# ---- what a build without --target gives: the product ---------------------------------------------------------------
FROM runtime
# A stage of nothing but FROM leaves a container behind in some builders.
STOPSIGNAL SIGTERM
