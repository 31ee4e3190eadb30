# The operator's image: `docker build -t registry.example.com/modelrollout:0.1.0 .`
#
# BASE needs Python 3.11 to 3.13 with pip at build time; at run time neither a shell nor a package manager is used.
# Pin it by digest in your own builds: --build-arg BASE=python:3.11-slim@sha256:...
ARG BASE=python:3.11-slim

FROM ${BASE} AS packages
COPY requirements.lock e2e/trim.py /build/
# Wheels only, as locked; what the operator does not use of them is left out (220 MB).
RUN python3 -m pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
      --target /opt/packages -r /build/requirements.lock \
 && python3 /build/trim.py /opt/packages

FROM ${BASE}
ENV PYTHONPATH=/opt/modelrollout:/opt/packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1 \
    OMP_NUM_THREADS=1
COPY --from=packages /opt/packages /opt/packages
COPY operator/modelrollout /opt/modelrollout/modelrollout
USER 65532:65532
ENTRYPOINT ["python3", "-m", "modelrollout"]
