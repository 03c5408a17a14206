//! Tests without an API server: examples, GitOps health checks, the grant model, allocations, and the tests themselves.

mod allocations;
mod examples;
mod gitops;
mod grant_model;
mod test_files;
