# docker build --target cpu -t xtec .      docker run --rm -v "$PWD:/data" xtec demo
# docker build --target cuda -t xtec:cuda .
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY xtec xtec
COPY cli cli
COPY pipelines pipelines
COPY nexpy_plugin nexpy_plugin
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

# CuPy brings CUDA's libraries along; the driver comes from the machine: docker run --gpus all ...
FROM python:3.11-slim AS cuda
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --find-links /wheels "xtec-pipeline[gpu]" \
    && rm -rf /wheels \
    && useradd --create-home --uid 1000 xtec
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER xtec
WORKDIR /data
ENTRYPOINT ["xtec"]
CMD ["--help"]
