# docker build --target cpu -t xtec .      docker run --rm -v "$PWD:/data" xtec demo
# docker build --target cuda -t xtec:cuda .
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY xtec xtec
COPY cli cli
COPY pipelines pipelines
COPY sample_data sample_data
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.11-slim AS cpu
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels xtec-pipeline \
    && rm -rf /wheels \
    && useradd --create-home --uid 1000 xtec
USER xtec
WORKDIR /data
ENTRYPOINT ["xtec"]
CMD ["--help"]

FROM nvidia/cuda:12.6.3-runtime-ubuntu24.04 AS cuda
COPY --from=build /wheels /wheels
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/xtec \
    && /opt/xtec/bin/pip install --no-cache-dir --find-links /wheels "xtec-pipeline[gpu]" \
    && rm -rf /wheels \
    && useradd --create-home xtec
ENV PATH=/opt/xtec/bin:$PATH
USER xtec
WORKDIR /data
ENTRYPOINT ["xtec"]
CMD ["--help"]
