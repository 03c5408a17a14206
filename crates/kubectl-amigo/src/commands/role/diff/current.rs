//! A Role in the cluster, and whether the role at Amigo is in sync with it.

use amigo_api::{
    FrontendView, Role,
    conditions::{self, ConditionStatus},
    reasons::condition,
};
use amigo_lifecycle::role::DesiredRole;
use serde::Serialize;

use super::change::{OrganizationContext, RoleIdentity, describe_grant};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentRole {
    #[serde(flatten)]
    pub identity: RoleIdentity,
    pub state: SyncState,
    pub description: String,
    pub frontend_view: FrontendView,
    /// The grants as the operator sends them.
    pub grants: Vec<String>,
    /// The number of Deny grants that the operator replaces by narrower Allow grants.
    pub compiled_away: usize,
    /// Why the operator sends nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// The Ready condition, if it is of the current generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncState {
    pub in_sync: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub message: String,
}

impl CurrentRole {
    pub fn new(role: &Role, context: &OrganizationContext) -> Self {
        let wanted = context.wanted(&role.spec);
        let shown = wanted.as_ref().map_or_else(|_| DesiredRole::uncompiled(&role.spec), Clone::clone);
        Self {
            identity: RoleIdentity::new(role),
            state: SyncState::new(role),
            description: shown.description,
            frontend_view: role.spec.frontend_view,
            grants: shown.grants.iter().map(describe_grant).collect(),
            compiled_away: shown.compiled_away,
            refusal: wanted.err(),
        }
    }
}

impl SyncState {
    pub fn new(role: &Role) -> Self {
        let status = role.status.clone().unwrap_or_default();
        let is_current = status.observed_generation == role.metadata.generation;
        let (in_sync, reason, message) = match conditions::find(&status.conditions, condition::READY) {
            Some(ready) if is_current => {
                (ready.status == ConditionStatus::True.as_str(), Some(ready.reason.clone()), ready.message.clone())
            }
            Some(_) => (false, None, "the operator has not reconciled the latest spec yet".to_owned()),
            None => (false, None, "the operator has not reconciled it yet; check that amigo-operator runs".to_owned()),
        };
        Self { in_sync, reason, message }
    }

    pub fn to_text(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{reason}: {}", self.message),
            None => self.message.clone(),
        }
    }
}
