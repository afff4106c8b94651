#!/bin/sh
# Installs the programs that pip cannot: the emulator that executes what npuc emits, and venv where
# the distribution splits it off. Without the right to install, says what to run and goes on.
set -eu

wanted=""
command -v qemu-aarch64 >/dev/null 2>&1 || wanted="qemu-user"
"${PYTHON:-python3}" -c "import ensurepip" >/dev/null 2>&1 || wanted="$wanted python3-venv"
[ -n "$wanted" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$wanted; install with your package manager" >&2
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    run=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo"
else
    echo "missing; please run: sudo apt-get install -y $wanted" >&2
    exit 0
fi
$run apt-get update -qq
# shellcheck disable=SC2086  # a list of packages
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $wanted >/dev/null
