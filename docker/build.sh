#!/usr/bin/env bash
# Build the images with Docker, Podman or buildah, whichever is there:
#
#   docker/build.sh                       m3h-trainer, m3h-worker, m3h-flink and m3h-worker-gpu on the public bases
#   docker/build.sh trainer worker-cpu    two of them
#   docker/build.sh --local-bases         the first three on bases that are made here, once: Debian's packages by debootstrap,
#                                         Beam's boot from its Go module. Remove m3h-base-… to have them made again
#   docker/build.sh --help                this text
#
# M3H_ENGINE names the program (docker, podman or buildah, or its path). TORCH and TORCH_INDEX: see install-torch.sh. How this
# machine reaches its package indexes (pip's and Maven's settings, certificates, proxies) is lent to the builds; images keep none.
set -euo pipefail
caller=$PWD
CDPATH='' cd -- "$(dirname -- "$0")/.."

BEAM=2.77.0 # that of constraints.txt; a test compares
IMAGES=(trainer worker-cpu flink worker-gpu)

fail() {
    echo "error: $*" >&2
    exit 2
}

# A path of whoever called this script, who stands elsewhere.
absolute() {
    case "$1" in
        /*) echo "$1" ;;
        *) echo "$caller/$1" ;;
    esac
}

# Run a program in a process group of its own, so that it can be ended with all that it has started. A shell that waits for
# it in the foreground would hear of a signal only when it is over.
run() {
    set -m
    "$@" </dev/null &
    set +m
    wait $!
}

# End what runs, and go with this exit code. Who asks again does not want to wait for buildah.
interrupted() {
    trap 'patience=0' HUP INT TERM
    local group
    for group in $(jobs -p); do
        fail_step "$group"
        kill -TERM -- "-$group" 2>/dev/null || continue
        for _ in {1..100}; do # debootstrap unmounts what it has mounted
            kill -0 -- "-$group" 2>/dev/null || continue 2
            sleep 0.1
        done
        kill -KILL -- "-$group" 2>/dev/null || true
    done
    exit "$1"
}

# buildah removes its containers, and their mounts, when a step of a build fails, not when a signal ends it. So a step is
# made to fail by ending what buildah has started; while it writes a layer by itself, there is nothing to end.
fail_step() {
    local children child tenths
    [ "$patience" -eq 0 ] || echo "interrupted: buildah may take a minute to end what it does" >&2
    for ((tenths = 0; tenths < patience; tenths++)); do
        kill -0 -- "-$1" 2>/dev/null || return 0
        children=$(cat "/proc/$1/task/"*/children 2>/dev/null) || true
        for child in $children; do
            kill -TERM "$child" 2>/dev/null || true
        done
        sleep 0.1
    done
}

# Leave nothing behind: neither files nor what debootstrap had mounted among them.
clean() {
    trap '' HUP INT TERM
    [ -n "$temp" ] || return 0
    [ -z "$local_wanted" ] || unmount_below "$temp"
    rm -rf ${local_wanted:+--one-file-system} "$temp"
}

# The last mount first.
unmount_below() {
    local mounts folder number
    mapfile -t mounts </proc/self/mounts
    for ((number = ${#mounts[@]} - 1; number >= 0; number--)); do
        read -r _ folder _ <<<"${mounts[number]}"
        folder=$(printf '%b' "$folder") # a space is written as \040
        [[ $folder != "$1"/* ]] || umount "$folder" || umount --lazy "$folder" || true
    done
}

engine() {
    local name names=(docker podman buildah)
    case "${M3H_ENGINE:-}" in
        "") ;;
        */*) names=("$(absolute "$M3H_ENGINE")") ;;
        *) names=("$M3H_ENGINE") ;;
    esac
    for name in "${names[@]}"; do
        if command -v "$name" >/dev/null && "$name" info >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    fail "none of ${M3H_ENGINE:-docker, podman, buildah} works here; install one (such as: sudo apt-get install buildah)."
}

# What this engine is told in every build.
engine_words() {
    local name
    case "${engine##*/}" in
        docker*) # the others hand proxies on by themselves
            for name in {HTTP,HTTPS,FTP,NO,ALL}_PROXY {http,https,ftp,no,all}_proxy; do
                [ -z "${!name:-}" ] || engine_words+=(--build-arg "$name")
            done
            engine_words+=(--quiet)
            ;;
        *)
            engine_words+=(--format docker --layers)
            [[ $("$engine" build --help 2>&1) != *--force-rm* ]] || engine_words+=(--force-rm)
            ;;
    esac
    # buildah alone runs a build's commands without a runtime of containers.
    [[ ${engine##*/} != buildah* ]] || command -v runc crun >/dev/null ||
        export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
}

# build TAG RECIPE CONTEXT WORDS...
build() {
    local tag=$1 recipe=$2 context=$3
    shift 3
    [[ ${engine##*/} != buildah* ]] || patience=600 # tenths of a second
    DOCKER_BUILDKIT=1 run "$engine" build "${engine_words[@]}" --file "$recipe" --tag "$tag" "$@" "$context"
    patience=0
}

# Files with this machine's settings, which builds see below /run/secrets.
lend_settings() {
    local home=~
    python3 docker/pip_settings.py "$temp" "$caller"
    secrets+=(--secret "id=pip.conf,src=$temp/pip.conf")
    [ ! -f "$temp/ca.pem" ] || secrets+=(--secret "id=ca.pem,src=$temp/ca.pem")
    [ ! -f "$home/.m2/settings.xml" ] || secrets+=(--secret "id=settings.xml,src=$home/.m2/settings.xml")
    [ ! -f /etc/ssl/certs/java/cacerts ] || secrets+=(--secret "id=cacerts,src=/etc/ssl/certs/java/cacerts")
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
    local flink
    ! "$engine" inspect --type image "localhost/m3h-base-$1" >/dev/null 2>&1 || return 0
    case "$1" in
        debian) debian ;;
        beam)
            command -v go >/dev/null || fail "no program 'go'; Beam's boot is built from its Go module."
            GOBIN="$temp/context" run go install "github.com/apache/beam/sdks/v2/python/container@v$BEAM"
            ;;
        flink)
            flink=$(absolute "${M3H_FLINK:-$temp/flink}")
            run python3 docker/flink/install.py "$flink"
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
    sources=$(apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" "Created-By: Packages" "Origin: Debian") || true
    # shellcheck source=/dev/null
    first=$(. /etc/os-release && echo "$sources" | awk -v suite="${VERSION_CODENAME:-none}" '$3 == suite { print $3, $2; exit }')
    [ -n "$first" ] || fail "--local-bases needs a Debian whose sources of packages apt-get knows."
    # shellcheck disable=SC2086
    run debootstrap --variant=minbase --include=ca-certificates ${first% *} "$temp/debian" ${first#* } >"$temp/debootstrap.log" ||
        { tail -n 5 "$temp/debootstrap.log" && fail "debootstrap could not make a base."; }
    echo "$sources" >"$temp/debian/etc/apt/sources.list"
    # As in the public images: apt-get keeps no packages that it has installed.
    echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >"$temp/debian/etc/apt/apt.conf.d/clean"
    rm -rf "$temp/debian"/var/{cache/apt/archives/*.deb,cache/apt/*.bin,lib/apt/lists/*,log/*}
    rm -f "$temp/debian"/etc/{hostname,resolv.conf} # this machine's, which debootstrap had copied
    run tar --create --file "$temp/context/debian.tar" --directory "$temp/debian" .
    rm -rf "$temp/debian"
}

local_wanted="" images=() temp="" patience=0
for word in "$@"; do
    case "$word" in
        -h | --help)
            sed -n '2,/^set/s/^# \{0,1\}//p' docker/build.sh
            exit 0
            ;;
        --local-bases) local_wanted=yes ;;
        -*) fail "no option ${word@Q}; there are: --local-bases, --help" ;;
        *)
            [[ $word != *" "* && " ${IMAGES[*]} " == *" $word "* ]] || fail "no image ${word@Q}; there are: ${IMAGES[*]}"
            images+=("$word")
            ;;
    esac
done
case "${TORCH:-cpu}" in
    cpu | cuda) ;;
    *) fail "TORCH=$TORCH, expected cpu or cuda" ;;
esac
if [ ${#images[@]} -eq 0 ]; then
    images=("${IMAGES[@]}")
    [ -z "$local_wanted" ] || images=("${IMAGES[@]:0:3}") # CUDA's libraries are gigabytes to fetch
fi
engine=$(engine)
engine_words=() secrets=()
engine_words
trap clean EXIT
trap 'interrupted 129' HUP
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
# What programs leave behind when they are ended lies there too.
temp=$(mktemp -d "$(absolute "${TMPDIR:-/var/tmp}")/m3h-images-XXXXXX")
temp=$(cd "$temp" && pwd -P) # as the list of mounts writes it
export TMPDIR=$temp
mkdir "$temp/context"
lend_settings
for image in "${images[@]}"; do
    words=()
    [ -z "$local_wanted" ] || local_bases "$image"
    tag=m3h-${image%-cpu}
    begun=$SECONDS
    build "$tag" "docker/$image.Dockerfile" . "${secrets[@]}" "${words[@]}" \
        ${TORCH:+--build-arg "TORCH=$TORCH"} --build-arg "TORCH_INDEX=${TORCH_INDEX:-}" \
        --label "org.opencontainers.image.revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    echo "$tag: built in $((SECONDS - begun)) s"
done
