#!/bin/sh
# Install Chromium, by which tests open the pages that m3h makes; one clear line when that may not be.
set -u

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

found() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
}

install() {
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends chromium
    elif command -v dnf >/dev/null; then
        as_root dnf install -y -q chromium
    elif command -v pacman >/dev/null; then
        as_root pacman -S --noconfirm --quiet chromium
    elif command -v apk >/dev/null; then
        as_root apk add --quiet chromium
    elif command -v brew >/dev/null; then
        brew install --quiet --cask google-chrome
    else
        return 1
    fi
}

found && exit 0
if ! install >/dev/null 2>&1 || ! found; then
    echo "error: no program 'chromium', and it cannot be installed from here; install it with your package manager" \
        "(such as: sudo apt-get install chromium), then run make test-long again" >&2
    exit 1
fi
