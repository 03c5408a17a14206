#!/bin/sh
# Builds kube-apiserver, kubectl and etcd from their Go modules, once, into a cache folder
# outside the checkout, and prints that folder. KUBEBUILDER_ASSETS names a ready-made one.
set -eu
cd "$(dirname "$0")"
. ./cache.sh

programs="etcd kube-apiserver kubectl"
ready_made "control plane" KUBEBUILDER_ASSETS "$programs"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=$(echo "$version" | cut -d. -f2)

build() {
    stamp="-s -w -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"
    go build -trimpath -ldflags "-s -w" -o "$1/etcd" go.etcd.io/etcd/server/v3
    go build -trimpath -ldflags "$stamp" -o "$1/kubectl" k8s.io/kubernetes/cmd/kubectl
    go build -trimpath -ldflags "$stamp" -o "$1/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
}

sum=$(cat go.mod go.sum build.sh | cksum | cut -d' ' -f1)
build_once "control plane" "control-plane/$version-$(go env GOOS)-$(go env GOARCH)-$sum" \
    "$programs ($version); once, about 5 minutes on 2 cores"
