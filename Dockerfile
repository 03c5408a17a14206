# An image that contains only static programs and CA certificates. The build targets its own platform. A multi-platform
# build runs once per platform.
ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-alpine AS manifests
WORKDIR /manifests
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY tests/support tests/support
RUN find crates tests -type f ! -name Cargo.toml -delete

FROM rust:${RUST_VERSION}-alpine AS build
# Cargo features, such as "otlp" for traces.
ARG FEATURES=""
# A certificate (PEM) that the downloads of this build trust as well, such as that of a proxy. The image does not trust it.
ARG BUILD_CA=""
ENV CARGO_HTTP_CAINFO=/build-ca.crt
RUN printf '%s\n' "$BUILD_CA" | cat /etc/ssl/certs/ca-certificates.crt - > /build-ca.crt \
    && SSL_CERT_FILE=/build-ca.crt apk add --no-cache build-base ca-certificates
WORKDIR /build
# Build only the dependencies, with empty sources. Docker caches this layer until a manifest or Cargo.lock changes.
COPY --from=manifests /manifests ./
RUN mkdir -p benches \
    && for program in amigo-operator kubectl-amigo amigo-sandbox; do \
         mkdir -p "src/bin/$program" && echo 'fn main() {}' > "src/bin/$program/main.rs"; done \
    && for crate in . crates/* tests/support; do mkdir -p "$crate/src" && touch "$crate/src/lib.rs"; done \
    && for bench in $(sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/\1/p' Cargo.toml); do echo 'fn main() {}' > "benches/$bench.rs"; done \
    && cargo build --locked --release --bins --features "$FEATURES" \
    && rm -r src benches crates
COPY benches benches
COPY examples examples
COPY crates crates
COPY src src
# Copied files can be older than the build output of the previous layer.
RUN find src crates -name '*.rs' -exec touch {} + \
    && cargo build --locked --release --bins --features "$FEATURES" \
    && mkdir -p /image/usr/local/bin /image/etc/ssl/certs /sandbox/usr/local/bin \
    && cp target/release/amigo-operator target/release/kubectl-amigo /image/usr/local/bin/ \
    && cp target/release/amigo-sandbox /sandbox/usr/local/bin/ \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/
COPY LICENSE /image/LICENSE
COPY LICENSE /sandbox/LICENSE

# `--target sandbox` builds the image of the sandbox; the operator is the default.
FROM scratch AS sandbox
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="amigo-sandbox" \
      org.opencontainers.image.description="Embedded Amigo API for tests and trials; not Amigo itself" \
      org.opencontainers.image.url="https://github.com/amigo-ai/amigo-operator" \
      org.opencontainers.image.source="https://github.com/amigo-ai/amigo-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /sandbox/ /
# A numeric ID, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
EXPOSE 8090
ENTRYPOINT ["/usr/local/bin/amigo-sandbox"]

FROM scratch AS operator
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="amigo-operator" \
      org.opencontainers.image.description="Kubernetes operator for roles and time-boxed access on the Amigo platform" \
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
