#!/bin/sh
# Checks a running sandbox with Amigo's official Python SDK as an independent client.
# Usage: tests/sandbox/sdk.sh http://127.0.0.1:8090
# Needs Python 3.11 or newer; the SDK is installed once, into the project's cache folder.
set -eu

base_url=${1:?usage: sdk.sh BASE_URL}
sdk_version=2.5.0
here=$(cd "$(dirname "$0")" && pwd)
cache=${AMIGO_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/amigo-operator}
venv=$cache/amigo-sdk-$sdk_version

if [ ! -f "$venv/complete" ]; then
    mkdir -p "$cache"
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "amigo-sdk==$sdk_version"
    touch "$venv/complete"
fi

# The SDK reads a .env file in its working directory: run where there is none.
cd "$venv"
exec "$venv/bin/python" "$here/check.py" "${base_url%/}"
