# LERENet service. The base is an argument, so that sites can bring their own hardened Python (3.11 or newer).
#   docker build .                                               CUDA on x86-64: the package index's own torch
#   docker build --build-arg TORCH_INDEX_URL=<CPU index> .       a far smaller image without CUDA
ARG BASE_IMAGE=python:3.12-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE_IMAGE} AS build
ARG TORCH_VERSION="==2.13.0"
ARG TORCH_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY docker/serve.lock docker/build.lock docker/
# Everything comes with the hash that `make lock` wrote down, but for torch, whose build each site chooses. Before torch,
# so that what torch shares with the others is of the locked release, too.
RUN python -m venv /opt/lerenet \
 && /opt/lerenet/bin/pip install --require-hashes --requirement docker/serve.lock
RUN /opt/lerenet/bin/pip install "torch${TORCH_VERSION}" ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"}
# What builds the wheel stays out of the image.
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --requirement docker/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY service ./service
COPY model_weights ./model_weights
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/lerenet/bin/pip install --no-deps --no-index /wheels/*.whl \
 && /opt/lerenet/bin/pip check

# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 lerenet \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin lerenet \
 && install --directory --owner=lerenet --group=lerenet /data /keys
COPY --from=build /opt/lerenet /opt/lerenet
# MALLOC_ARENA_MAX: large image buffers freed on many threads would otherwise fragment the heap.
ENV PATH=/opt/lerenet/bin:$PATH PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 \
    LERENET_HOST=0.0.0.0 LERENET_PORT=8000 LERENET_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 CMD ["lerenet", "healthcheck"]
ENTRYPOINT ["lerenet"]
CMD ["serve"]
