#!/bin/sh
# Builds typecheck, once, into a cache folder outside the checkout, and prints that folder. AMIGO_OPERATOR_TOOLS names
# a ready-made folder.
set -eu
cd "$(dirname "$0")"
. ../../control-plane/cache.sh

ready_made "tools (typecheck)" AMIGO_OPERATOR_TOOLS typecheck

build() {
    nice go build -trimpath -ldflags "-s -w" -o "$1/" .
}

build_once "tools (typecheck)" "tools/typecheck-$(go env GOOS)-$(go env GOARCH)-$(cat go.mod go.sum main.go | cksum | cut -d' ' -f1)" \
    "typecheck; once, a minute or two on 2 cores"
