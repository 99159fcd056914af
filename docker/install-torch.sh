#!/bin/sh
# Torch in an environment of its own, /opt/m3h, for an image. What the builder may say:
#   TORCH=cpu     without CUDA (the default)
#   TORCH=cuda    as its index has it: on Linux with CUDA, several gigabytes
#   TORCH_INDEX   another index of packages, such as PyTorch's own one of wheels for CPU alone
set -eu
export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv /opt/m3h
case "$TORCH" in
    cuda) /opt/m3h/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -c constraints.txt torch torchvision ;;
    cpu)
        /opt/m3h/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --no-deps -c constraints.txt torch torchvision
        if [ -e "$(echo /opt/m3h/lib/python3*/site-packages/torch/lib/libtorch_cuda.so)" ]; then
            apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils
            /opt/m3h/bin/python docker/without_cuda.py
            apt-get purge -y -qq --auto-remove binutils && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
        fi
        ;;
    *)
        echo "error: TORCH=$TORCH, expected cpu or cuda" >&2
        exit 2
        ;;
esac
