#!/bin/sh
# Creates a kind cluster, runs the end-to-end suite in it with the images of this checkout, and deletes the cluster.
# ENGINE: docker or podman. IMAGE, SANDBOX_IMAGE: names of the images. KUBERNETES: a version such as v1.36.1 (default:
# kind's default). KEEP=1 keeps the cluster. If the suite fails, the script stores kind's logs in KIND_LOGS (default:
# target/kind-logs).
set -eu
cd "$(dirname "$0")/../../.."

if [ -z "${ENGINE:-}" ]; then
    echo "no container engine found: start docker or podman, or set ENGINE" >&2
    exit 1
fi
for program in kubectl cargo; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
done

image=${IMAGE:-amigo-operator:dev}
sandbox_image=${SANDBOX_IMAGE:-amigo-sandbox:dev}
# Without a host, nodes assume Docker's registry, and podman assumes localhost.
case "$image" in */*) ;; *) image=localhost/$image ;; esac
case "$sandbox_image" in */*) ;; *) sandbox_image=localhost/$sandbox_image ;; esac
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

make --no-print-directory image ENGINE="$ENGINE" IMAGE="$image" SANDBOX_IMAGE="$sandbox_image"
# shellcheck disable=SC2086 # one argument, or none
"$kind" create cluster --name "$cluster" --wait 120s ${KUBERNETES:+--image "kindest/node:$KUBERNETES"}
for name in "$image" "$sandbox_image"; do
    archive="$folder/image.tar"
    rm -f "$archive"
    "$ENGINE" save --output "$archive" "$name"
    "$kind" load image-archive --name "$cluster" "$archive"
done
make --no-print-directory e2e KUBECONFIG="$KUBECONFIG" E2E_IMAGE="$image" E2E_SANDBOX_IMAGE="$sandbox_image"
