//! What a run leaves, and whether its crashes explain how it differs from the run without a crash.

use amigo_sandbox::Change;
use serde_json::{Value, json};

/// What a run of a scenario leaves.
pub struct Outcome {
    /// The points that the first operator passed, in order.
    pub points: Vec<String>,
    /// How many operators crashed.
    pub crashes: usize,
    /// The objects and Amigo at each stage of the scenario.
    pub stages: Vec<Value>,
    /// The grant requests that Amigo received. Attempts that a slow machine did not send in time are not among them.
    pub grant_requests: u64,
    /// What changed at Amigo, without IDs and times.
    pub changes: Vec<String>,
    /// The logs of the operators.
    pub log: String,
}

/// The first difference that the crashes do not explain.
pub fn unexplained(expected: &Outcome, outcome: &Outcome) -> Option<String> {
    let stages = expected.stages.iter().zip(&outcome.stages);
    if let Some((expected, found)) = stages.into_iter().find(|(expected, found)| expected != found) {
        return Some(format!("expected {expected:#}\nfound {found:#}"));
    }
    // Amigo gets a request again only if it did not get the first one.
    if outcome.grant_requests != expected.grant_requests {
        return Some(format!("{} grant requests, not {}", outcome.grant_requests, expected.grant_requests));
    }
    differing_changes(&expected.changes, &outcome.changes, outcome.crashes)
}

/// The changes must be the same. Only one that is safe to repeat may be there twice, once for each crash.
fn differing_changes(expected: &[String], found: &[String], crashes: usize) -> Option<String> {
    let mut without_repeats = found.to_vec();
    without_repeats.dedup_by(|later, earlier| later == earlier && !later.starts_with("grant"));
    let repeats = found.len() - without_repeats.len();
    (without_repeats != expected || repeats > crashes).then(|| format!("expected {expected:#?}\nfound {found:#?}"))
}

/// A change without IDs and times, so that runs are comparable.
pub fn describe(change: Change) -> String {
    match change {
        Change::GrantCreated(grant) => {
            let slot = grant.tags.get("slot").cloned().flatten().unwrap_or_default();
            format!("grant {slot} of {} to {}", grant.permission_name, grant.user_id)
        }
        Change::RoleCreated { role_name, permission_grants, .. } => {
            format!("role {role_name} created: {}", json!(permission_grants))
        }
        Change::RoleModified { role_name, permission_grants, .. } => {
            format!("role {role_name} changed: {}", json!(permission_grants))
        }
        Change::RoleAssigned { user_id, role_name, .. } => format!("role {role_name} assigned to {user_id}"),
        other => format!("{other:?}"),
    }
}

/// Conditions without messages and times.
pub fn conditions(object: &Value) -> Vec<String> {
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut conditions: Vec<String> = conditions
        .map(|condition| ["type", "status", "reason"].map(|field| text(condition, field)).join(" "))
        .collect();
    conditions.sort();
    conditions
}
