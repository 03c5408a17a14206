//! `kubectl amigo`, run by the real kubectl against the real API server, the operator and the sandbox.

mod support;

#[path = "chart/helm.rs"]
#[allow(dead_code, reason = "shared with the tests of the chart")]
mod helm;

#[path = "admission/house.rs"]
#[allow(dead_code, reason = "shared with the tests of the admission policies")]
mod house;

#[path = "plugin/access_test.rs"]
mod access_test;
#[path = "plugin/can_i.rs"]
mod can_i;
#[path = "plugin/completion.rs"]
mod completion;
#[path = "plugin/docs.rs"]
mod docs;
#[path = "plugin/explain.rs"]
mod explain;
#[path = "plugin/frame.rs"]
mod frame;
#[path = "plugin/krew.rs"]
mod krew;
#[path = "plugin/list_access.rs"]
mod list_access;
#[path = "plugin/people.rs"]
mod people;
#[path = "plugin/request_access.rs"]
mod request_access;
#[path = "plugin/request_access_refused.rs"]
mod request_access_refused;
#[path = "plugin/revoke.rs"]
mod revoke;
#[path = "plugin/role_diff.rs"]
mod role_diff;
#[path = "plugin/role_export.rs"]
mod role_export;
#[path = "plugin/role_lint.rs"]
mod role_lint;
#[path = "plugin/transcripts.rs"]
mod transcripts;
