# The image of `custodes serve`. Build it from a checkout: make web, then docker build -t custodes .
# To mount Custodes in an app of yours, install `custodes[all]` in the image of that app instead.
FROM python:3.13-slim AS build
WORKDIR /src
# What every request passes is compiled; without these Python would do it.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY pyproject.toml hatch_build.py README.md LICENSE CHANGELOG.md ./
COPY scripts/twins.py scripts/twins.py
COPY docs docs
COPY src src
RUN python -m venv /opt/custodes && /opt/custodes/bin/pip install --no-cache-dir '.[all]'

FROM python:3.13-slim
COPY --from=build /opt/custodes /opt/custodes
# A user of its own, without a shell; the volume is for SQLite only.
RUN useradd --system --uid 10001 --home-dir /var/lib/custodes --create-home --shell /usr/sbin/nologin custodes
USER 10001
WORKDIR /var/lib/custodes
ENV PATH=/opt/custodes/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CUSTODES_HOST=0.0.0.0 \
    CUSTODES_PORT=8321 \
    CUSTODES_DATABASE_URL=sqlite:////var/lib/custodes/custodes.db
EXPOSE 8321
# SIGTERM drains: not ready at once, gone within ten seconds.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8321/readyz', timeout=2)"]
ENTRYPOINT ["custodes"]
CMD ["serve"]
