#!/bin/sh
# Builds tools of the tests from their Go modules, once, into a cache folder outside the checkout, and prints that
# folder. `build.sh chart`: helm, kubeconform, helm-docs, and the CRDs of monitoring.coreos.com in `crds/`.
# `build.sh promtool`: promtool. `build.sh kind`: kind. AMIGO_OPERATOR_TOOLS names a ready-made folder.
set -eu
tests=$(cd "$(dirname "$0")/.." && pwd)
. "$tests/control-plane/cache.sh"

case "${1:-}" in
chart) programs="helm kubeconform helm-docs" ;;
promtool | kind) programs=$1 ;;
*)
    echo "usage: tests/tools/build.sh chart|promtool|kind" >&2
    exit 1
    ;;
esac
what="tools ($1)"
ready_made "$what" AMIGO_OPERATOR_TOOLS "$programs"
cd "$tests/tools/$1"
tools=$1
prometheus_operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

build() {
    # Rule tests need none of Prometheus' ways to find targets, each of which brings a cloud's whole library.
    nice go build -trimpath -ldflags "-s -w" -tags remove_all_sd -o "$1/" tool
    if [ "$tools" = chart ]; then
        source=$(go mod download -json "$prometheus_operator" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
        mkdir "$1/crds"
        for kind in servicemonitors podmonitors prometheusrules; do
            cp "$source/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$1/crds/"
        done
        chmod -R u+w "$1/crds"
    fi
}

build_once "$what" "tools/$tools-$(go env GOOS)-$(go env GOARCH)-$(cat go.mod go.sum ../build.sh | cksum | cut -d' ' -f1)" \
    "$programs; once, two or three minutes on 2 cores"
