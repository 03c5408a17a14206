#!/bin/sh
# Runs the end to end suite on a kind cluster made for it, with the image of this checkout, and deletes the cluster.
# ENGINE: docker or podman. IMAGE: what the image is called. KUBERNETES: a version such as v1.36.1; without it, kind's
# own default. KEEP=1 leaves the cluster for a look. If the suite fails, kind's logs of the nodes are kept in
# KIND_LOGS (default: target/kind-logs).
set -eu
cd "$(dirname "$0")/../.."

if [ -z "${ENGINE:-}" ]; then
    echo "no container engine answers, and kind needs one: start docker or podman, or name one with ENGINE" >&2
    exit 1
fi
for program in kubectl cargo; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
done

image=${IMAGE:-amigo-operator:dev}
# Nodes look for a name without a host at Docker's registry, and podman gives it the host localhost.
case "$image" in */*) ;; *) image=localhost/$image ;; esac
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
        echo "the cluster stays: KUBECONFIG=$KUBECONFIG; delete it with: $kind delete cluster --name $cluster" >&2
    else
        "$kind" delete cluster --name "$cluster" >&2 || true
        rm -rf "$folder"
    fi
}
trap finish EXIT

make --no-print-directory image ENGINE="$ENGINE" IMAGE="$image"
# shellcheck disable=SC2086 # one argument, or none
"$kind" create cluster --name "$cluster" --wait 120s ${KUBERNETES:+--image "kindest/node:$KUBERNETES"}
archive="$folder/image.tar"
"$ENGINE" save --output "$archive" "$image"
"$kind" load image-archive --name "$cluster" "$archive"
make --no-print-directory e2e KUBECONFIG="$KUBECONFIG" E2E_IMAGE="$image"
