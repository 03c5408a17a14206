#!/bin/sh
# Checks a running sandbox with Amigo's official Python SDK as an independent client.
# Usage: tests/sandbox/sdk.sh http://127.0.0.1:8090
set -eu
base_url=${1:?usage: sdk.sh BASE_URL}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.sh"
venv=$("$here/../tools/venv.sh" "amigo-sdk==$AMIGO_SDK")
# The SDK reads a .env file in its working directory: run where there is none.
cd "$venv"
exec "$venv/bin/python" "$here/check.py" "${base_url%/}"
