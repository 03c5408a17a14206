//! Tests without an API server: examples, GitOps health checks, allocations, and the tests themselves.

mod allocations;
mod examples;
mod gitops;
mod test_files;
