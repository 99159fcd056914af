#!/bin/sh
# install-m3h.sh EXTRAS [UID]: install the checkout with these extras into /opt/m3h, list all its packages in
# sbom.cdx.json (CycloneDX), and make the user who runs it.
set -eu
export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
/opt/m3h/bin/pip install -c constraints.txt ".[$1]" torchvision # it is there; this brings what it requires
/opt/m3h/bin/pip check
python3 -m venv /tmp/sbom
/tmp/sbom/bin/pip install --quiet cyclonedx-bom==7.5.0
/tmp/sbom/bin/cyclonedx-py environment --output-reproducible --output-file sbom.cdx.json /opt/m3h/bin/python
rm -rf /tmp/sbom build ./*.egg-info
useradd --uid "${2:-1000}" --create-home m3h
