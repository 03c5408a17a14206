//! Tests without an API server: examples, GitOps health checks, the image, allocations, the page on faults, and the tests
//! themselves.

mod allocations;
mod examples;
mod fuzz;
mod gitops;
mod image;
mod mistakes;
mod reliability;
mod test_files;
