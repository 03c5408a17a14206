#!/bin/sh
# Creates a kind cluster, runs the end-to-end suite in it with images that `make image` built, and deletes the cluster.
# ENGINE: docker or podman. IMAGE, SANDBOX_IMAGE: names of the images. NODE_IMAGE: a node image, local or in a registry;
# KUBERNETES: a version of kindest/node, such as v1.36.1 (default: kind's default). KEEP=1 keeps the cluster. If the suite
# fails, the script stores kind's logs in KIND_LOGS (default: target/kind-logs).
set -eu
cd "$(dirname "$0")/../../.."

if [ -z "${ENGINE:-}" ]; then
    echo "no container engine found: start docker or podman, or set ENGINE" >&2
    exit 1
fi
for program in kubectl cargo; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
done

# Prints the name of an image with a host: without one, nodes assume Docker's registry, and podman assumes localhost.
full_name() {
    "$ENGINE" image inspect "$1" >/dev/null 2>&1 || { echo "no image $1: run 'make image'" >&2; exit 1; }
    case "$1" in
    */*) echo "$1" ;;
    *) "$ENGINE" tag "$1" "localhost/$1" && echo "localhost/$1" ;;
    esac
}

image=$(full_name "${IMAGE:-amigo-operator:dev}")
sandbox_image=$(full_name "${SANDBOX_IMAGE:-amigo-sandbox:dev}")
node_image=${NODE_IMAGE:-${KUBERNETES:+kindest/node:$KUBERNETES}}
cluster=amigo-e2e-$$
folder=$(mktemp -d)
export KUBECONFIG="$folder/kubeconfig" KIND_EXPERIMENTAL_PROVIDER="$ENGINE"
kind=$(tests/tools/build.sh kind)/kind

finish() {
    status=$?
    if [ "$status" -ne 0 ]; then
        "$kind" export logs --name "$cluster" "${KIND_LOGS:-target/kind-logs}" >&2 || true
    fi
    if [ "${KEEP:-}" = 1 ]; then
        echo "kept the cluster: KUBECONFIG=$KUBECONFIG; to delete it, run: $kind delete cluster --name $cluster" >&2
    else
        "$kind" delete cluster --name "$cluster" >&2 || true
        rm -rf "$folder"
    fi
}
trap finish EXIT

"$kind" create cluster --name "$cluster" --wait 120s ${node_image:+--image "$node_image"}
for name in "$image" "$sandbox_image"; do
    archive="$folder/image.tar"
    rm -f "$archive"
    "$ENGINE" save --output "$archive" "$name"
    "$kind" load image-archive --name "$cluster" "$archive"
done
make --no-print-directory e2e KUBECONFIG="$KUBECONFIG" E2E_IMAGE="$image" E2E_SANDBOX_IMAGE="$sandbox_image"
