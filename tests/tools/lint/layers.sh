#!/bin/sh
# Checks that the pure crates build without an async runtime, an HTTP stack and a Kubernetes client.
set -eu

status=0
for crate in amigo-permissions amigo-api amigo-lifecycle; do
    tree=$(${CARGO:-cargo} tree --locked --package "$crate" --edges normal --prefix none)
    found=$(printf '%s\n' "$tree" | awk '$1 ~ /^(tokio|hyper|hyper-util|kube-client|kube-runtime|reqwest|axum)$/ { print $1 }' | sort -u)
    if [ -n "$found" ]; then
        echo "$crate must stay pure, but depends on:" $found >&2
        echo "To find the path, run: cargo tree --package $crate --edges normal --invert CRATE" >&2
        status=1
    fi
done
exit $status
