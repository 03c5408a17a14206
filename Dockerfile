# syntax=docker/dockerfile:1
# An image that contains only static programs and CA certificates. The build targets its own platform. A multi-platform
# build runs once per platform.
ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-alpine AS build
# Cargo features, such as "otlp" for traces.
ARG FEATURES=""
RUN apk add --no-cache build-base ca-certificates
WORKDIR /build
# Build only the dependencies, with empty programs. Docker caches this layer until Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src/bin/amigo-operator src/bin/kubectl-amigo benches tests \
    && touch src/lib.rs \
    && for program in src/bin/*/; do echo 'fn main() {}' > "$program/main.rs"; done \
    && for bench in $(sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/\1/p' Cargo.toml); do echo 'fn main() {}' > "benches/$bench.rs"; done \
    && for test in $(sed -n '/^\[\[test\]\]/,/^$/s/^name = "\(.*\)"/\1/p' Cargo.toml); do touch "tests/$test.rs"; done \
    && cargo build --locked --release --bins --features "$FEATURES" \
    && rm -r src benches
COPY benches benches
COPY examples examples
COPY src src
# Copied files can be older than the build output of the previous layer.
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --locked --release --bins --features "$FEATURES" \
    && mkdir -p /image/usr/local/bin /image/etc/ssl/certs \
    && cp target/release/amigo-operator target/release/kubectl-amigo /image/usr/local/bin/ \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/
COPY LICENSE /image/LICENSE

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="amigo-operator" \
      org.opencontainers.image.description="Kubernetes operator that makes roles and temporary access on the Amigo platform declarative" \
      org.opencontainers.image.url="https://github.com/amigo-ai/amigo-operator" \
      org.opencontainers.image.source="https://github.com/amigo-ai/amigo-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# A numeric ID, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/amigo-operator"]
CMD ["run"]
