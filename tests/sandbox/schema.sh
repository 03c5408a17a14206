#!/bin/sh
# Compares a running sandbox with Amigo's API document: schemathesis sends what the document allows and what it forbids,
# and every difference must be in explained.toml. Reads the operations of the sandbox from standard input.
# Usage: tests/sandbox/schema.sh http://127.0.0.1:8090
# API_DOCUMENT names the document (default: the one in the source archive of Amigo's Python SDK).
set -eu
base_url=${1:?usage: schema.sh BASE_URL}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.sh"
venv=$("$here/../tools/venv.sh" "schemathesis==$SCHEMATHESIS")
document=${API_DOCUMENT:-}
if [ -z "$document" ]; then
    document=$venv/openapi-$AMIGO_SDK.json
    if [ ! -e "$document" ]; then
        folder=$(mktemp -d)
        trap 'rm -rf "$folder"' EXIT
        echo "amigo-sdk==$AMIGO_SDK --hash=sha256:$AMIGO_SDK_SHA256" >"$folder/requirements.txt"
        "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary amigo-sdk --dest "$folder" \
            --requirement "$folder/requirements.txt" >&2
        tar -xzf "$folder"/amigo_sdk-*.tar.gz -C "$folder"
        mv "$folder"/amigo_sdk-*/specs/openapi-baseline.json "$document"
    fi
fi
[ -r "$document" ] || { echo "API_DOCUMENT=$document cannot be read: name Amigo's API document (JSON)" >&2; exit 1; }
"$venv/bin/python" "$here/schema.py" "${base_url%/}" "$document" "$here/explained.toml"
