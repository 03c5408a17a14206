#!/bin/sh
# Installs Python packages into a virtual environment, once, into the cache folder of the project, and prints its folder.
# Usage: tests/tools/venv.sh NAME==VERSION [MORE...]   Needs Python 3.11 or newer (PYTHON names another).
set -eu
root=${AMIGO_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/amigo-operator}
folder=$root/tools/python-$(echo "$1" | tr -s '=' '-')-$(echo "$*" | cksum | cut -d' ' -f1)
if [ ! -e "$folder/complete" ]; then
    echo "installing $* into $folder" >&2
    mkdir -p "$root/tools"
    "${PYTHON:-python3}" -m venv --clear "$folder" >&2
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
    touch "$folder/complete"
fi
echo "$folder"
