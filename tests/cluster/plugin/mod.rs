//! `kubectl amigo`, run by the real kubectl against the real API server, the operator and the sandbox.

mod access_test;
mod can_i;
mod cli_basics;
mod completion;
mod docs;
mod krew;
mod list_access;
mod request_access;
mod request_access_refused;
mod resync;
mod revoke;
mod role_diff;
mod role_export;
mod role_lint;
mod status;
mod transcripts;
mod users;
