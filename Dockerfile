# The light install: no torch, no model hub, the models of the package.
#
#   docker build -t mattelike .
#   docker run --rm --network none -v "$PWD:/work" --user "$(id -u):$(id -g)" mattelike matte photos/ --like cat.jpg ...
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE constraints.txt ./
COPY src ./src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python -m venv /opt/mattelike \
 && grep -Ev '^(torch|torchvision)(=| )' constraints.txt > /tmp/constraints.txt \
 && /opt/mattelike/bin/pip install --no-cache-dir --constraint /tmp/constraints.txt /wheels/*.whl

FROM python:3.12-slim
COPY --from=build /opt/mattelike /opt/mattelike
RUN useradd --create-home --uid 1000 mattelike \
 && mkdir -p /work /cache \
 && chown mattelike /work /cache
ENV PATH=/opt/mattelike/bin:$PATH MATTELIKE_HOME=/cache PYTHONUNBUFFERED=1
VOLUME /cache
WORKDIR /work
USER mattelike
HEALTHCHECK --interval=5m --timeout=60s --start-period=10s CMD ["mattelike", "doctor", "--json"]
ENTRYPOINT ["mattelike"]
CMD ["--help"]
