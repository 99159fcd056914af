#!/bin/sh
# install-m3h.sh EXTRAS [UID]: install the checkout with these extras into /opt/m3h, list all its packages in
# sbom.cdx.json (CycloneDX), and make the user who runs it. Where the pipeline is among the extras, its word statistics are
# made here, in cache/, as entrypoint.sh says.
set -eu
export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
/opt/m3h/bin/pip install -c constraints.txt ".[$1]" torchvision # it is there; this brings what it requires
/opt/m3h/bin/pip check
python3 -m venv /tmp/sbom
/tmp/sbom/bin/pip install --quiet cyclonedx-bom==7.5.0
/tmp/sbom/bin/cyclonedx-py environment --output-reproducible --output-file sbom.cdx.json /opt/m3h/bin/python
rm -rf /tmp/sbom build ./*.egg-info
case "$1" in
    *pipeline*)
        XDG_CACHE_HOME=/m3h/cache /opt/m3h/bin/python -c \
            "from m3h.pipeline.text.word_statistics import word_statistics; word_statistics(None)"
        chmod -R a+rX cache
        ;;
esac
useradd --uid "${2:-1000}" --create-home m3h
mkdir -p /data
chown m3h: /data
