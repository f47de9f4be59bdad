# finewave in a container, with its weights.
#   docker build -t finewave .                                    for a processor
#   docker build -t finewave:cuda --build-arg TORCH=cu128 .       for an NVIDIA graphics card (docker run --gpus all)
#   docker run --rm -v "$PWD:/data" finewave predict photo.jpg -o photo.tif --model jssunet-photo-x4
FROM python:3.12-slim

# which build of PyTorch: cpu, cu126, cu128 ...
ARG TORCH=cpu
# what else than the core: names of extras, see the README
ARG EXTRAS=fast,photos,remote

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/finewave
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
COPY recipes recipes
COPY weights weights
RUN pip install --constraint constraints.txt --no-deps --index-url "https://download.pytorch.org/whl/${TORCH}" torch \
    && pip install --constraint constraints.txt ".[${EXTRAS}]"

ENV FINEWAVE_WEIGHTS=/opt/finewave/weights
# what it writes into /data is the user's who starts it with --user "$(id -u):$(id -g)"
RUN useradd --create-home --uid 1000 finewave
USER 1000
WORKDIR /data
ENTRYPOINT ["finewave"]
CMD ["--help"]
