#!/usr/bin/env bash
# Build the images with Docker, Podman or buildah, whichever is there:
#
#   docker/build.sh                       m3h-trainer, m3h-worker, m3h-flink and m3h-worker-gpu on the public bases
#   docker/build.sh trainer worker-cpu    two of them
#   docker/build.sh --local-bases         the first three on bases that are made here, once: Debian's packages by debootstrap,
#                                         Beam's boot from its Go module. Remove m3h-base-… to have them made again
#
# M3H_ENGINE names the program (docker, podman or buildah). TORCH and TORCH_INDEX: see install-torch.sh. How this machine
# reaches its package indexes (pip's and Maven's settings, certificates, proxies) is lent to the builds; images keep none.
set -euo pipefail
cd "$(dirname "$0")/.."

BEAM=2.77.0 # that of constraints.txt; a test compares
IMAGES=(trainer worker-cpu flink worker-gpu)

fail() {
    echo "error: $*" >&2
    exit 2
}

engine() {
    local name
    for name in ${M3H_ENGINE:-docker podman buildah}; do
        if command -v "$name" >/dev/null && "$name" info >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    fail "none of ${M3H_ENGINE:-docker, podman, buildah} works here; install one (such as: sudo apt-get install buildah)."
}

# build TAG RECIPE CONTEXT WORDS...
build() {
    local tag=$1 recipe=$2 context=$3
    shift 3
    set -- --file "$recipe" --tag "$tag" "$@" "$context"
    case "$engine" in
        docker) DOCKER_BUILDKIT=1 docker build --quiet "$@" ;;
        *) "$engine" build --format docker --layers "$@" ;;
    esac
}

# Files with this machine's settings, which builds see below /run/secrets.
lend_settings() {
    local key value certificates written
    written=$(python3 -m pip config list 2>/dev/null || true)
    certificates=${PIP_CERT:-${REQUESTS_CA_BUNDLE:-${SSL_CERT_FILE:-}}}
    {
        echo "[global]"
        for key in index-url extra-index-url trusted-host proxy; do
            value=$(setting "$key" "$written")
            [ -z "$value" ] || echo "$key = $value"
        done
        [ -z "$certificates" ] || echo "cert = /run/secrets/ca.pem"
    } >"$temp/pip.conf"
    secrets+=(--secret "id=pip.conf,src=$temp/pip.conf")
    [ -z "$certificates" ] || secrets+=(--secret "id=ca.pem,src=$certificates")
    [ ! -f ~/.m2/settings.xml ] || secrets+=(--secret "id=settings.xml,src=$HOME/.m2/settings.xml")
    [ ! -f /etc/ssl/certs/java/cacerts ] || secrets+=(--secret "id=cacerts,src=/etc/ssl/certs/java/cacerts")
}

# One of pip's settings, from the environment or from what `pip config list` printed; nothing where it has none.
setting() {
    local variable
    variable=PIP_$(echo "$1" | tr 'a-z-' 'A-Z_')
    echo "${!variable:-$(echo "$2" | sed -n "s/^global\\.$1='\\(.*\\)'\$/\\1/p")}"
}

# The bases that $1 needs, made here.
local_bases() {
    local name
    case "$1" in
        trainer) set -- python ;;
        worker-cpu) set -- python beam ;;
        flink) set -- java maven flink ;;
        worker-gpu) # CUDA's compiler is in NVIDIA's image alone, and detectron2 needs it
            words+=(--build-arg CUDA_BASE=localhost/m3h-base-python --build-arg UBUNTU_BASE=localhost/m3h-base-python)
            words+=(--build-arg DETECTRON2=none)
            set -- python beam
            ;;
    esac
    for name in "$@"; do
        [ "$name" = beam ] || local_base debian
        local_base "$name"
        words+=(--build-arg "${name^^}_BASE=localhost/m3h-base-$name")
    done
}

# Make a base that is not there yet.
local_base() {
    local flink=${M3H_FLINK:-$temp/flink}
    ! "$engine" inspect --type image "localhost/m3h-base-$1" >/dev/null 2>&1 || return 0
    case "$1" in
        debian) debian ;;
        beam)
            command -v go >/dev/null || fail "no program 'go'; Beam's boot is built from its Go module."
            GOBIN="$temp/context" go install "github.com/apache/beam/sdks/v2/python/container@v$BEAM"
            ;;
        flink)
            python3 docker/flink/install.py "$flink"
            cp -r "$flink/flink" "$temp/context/flink"
            cp docker/local/flink-entrypoint.sh "$temp/context/"
            ;;
    esac
    build "localhost/m3h-base-$1" "docker/local/$1.Dockerfile" "$temp/context"
}

# This Debian, small, with its own sources of packages.
debian() {
    local sources first
    [ "$(id -u)" -eq 0 ] || fail "--local-bases needs root: debootstrap unpacks files of other users."
    command -v debootstrap >/dev/null || fail "no program 'debootstrap' (such as: sudo apt-get install debootstrap)."
    sources=$(apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" "Created-By: Packages" "Origin: Debian")
    # shellcheck source=/dev/null
    first=$(. /etc/os-release && echo "$sources" | awk -v suite="$VERSION_CODENAME" '$3 == suite { print $3, $2; exit }')
    [ -n "$first" ] || fail "--local-bases needs a Debian whose sources of packages apt-get knows."
    # shellcheck disable=SC2086
    debootstrap --variant=minbase --include=ca-certificates ${first% *} "$temp/debian" ${first#* } >"$temp/debootstrap.log" ||
        { tail -n 5 "$temp/debootstrap.log" && fail "debootstrap could not make a base."; }
    echo "$sources" >"$temp/debian/etc/apt/sources.list"
    # As in the public images: apt-get keeps no packages that it has installed.
    echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >"$temp/debian/etc/apt/apt.conf.d/clean"
    rm -rf "$temp/debian"/var/{cache/apt/archives/*.deb,lib/apt/lists/*,log/*}
    tar --create --file "$temp/context/debian.tar" --directory "$temp/debian" .
    rm -rf "$temp/debian"
}

local_wanted=""
[ "${1:-}" != --local-bases ] || { local_wanted=yes && shift; }
[ $# -gt 0 ] || set -- "${IMAGES[@]:0:${local_wanted:+3}}"
for image in "$@"; do
    [ -f "docker/$image.Dockerfile" ] || fail "no image '$image'; there are: ${IMAGES[*]}"
done
engine=$(engine)
# buildah alone runs a build's commands without a runtime of containers.
[ "$engine" != buildah ] || command -v runc crun >/dev/null || export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
mkdir "$temp/context"
secrets=() words=()
lend_settings
for image in "$@"; do
    [ -z "$local_wanted" ] || local_bases "$image"
    tag=m3h-${image%-cpu}
    begun=$SECONDS
    build "$tag" "docker/$image.Dockerfile" . "${secrets[@]}" "${words[@]}" \
        ${TORCH:+--build-arg "TORCH=$TORCH"} --build-arg "TORCH_INDEX=${TORCH_INDEX:-}" \
        --label "org.opencontainers.image.revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    echo "$tag: built in $((SECONDS - begun)) s"
done
