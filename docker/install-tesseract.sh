#!/bin/sh
# Install Tesseract with English data through the system's package manager; one clear line when that may not be.
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

install() {
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends \
            tesseract-ocr tesseract-ocr-eng
    elif command -v dnf >/dev/null; then
        as_root dnf install -y -q tesseract tesseract-langpack-eng
    elif command -v pacman >/dev/null; then
        as_root pacman -S --noconfirm --quiet tesseract tesseract-data-eng
    elif command -v apk >/dev/null; then
        as_root apk add --quiet tesseract-ocr tesseract-ocr-data-eng
    elif command -v brew >/dev/null; then
        brew install --quiet tesseract
    else
        return 1
    fi
}

if ! install >/dev/null 2>&1 || ! command -v tesseract >/dev/null; then
    echo "error: no program 'tesseract', and it cannot be installed from here; install it with your package manager" \
        "(such as: sudo apt-get install tesseract-ocr), then run make again" >&2
    exit 1
fi
