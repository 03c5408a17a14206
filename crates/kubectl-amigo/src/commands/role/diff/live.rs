//! A Role in the cluster: what it asks for at Amigo, and whether the operator says that it is so.

use amigo_api::{
    FrontendView, Role,
    conditions::{self, ConditionStatus},
    reasons::condition,
};
use amigo_lifecycle::role::DesiredRole;
use kube::ResourceExt as _;
use serde::Serialize;

use super::change::{Setting, line};

/// What a Role asks for, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// The object's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its Organization.
    pub organization: String,
    /// The role's name at Amigo.
    pub role_name: String,
    /// Whether the role at Amigo is so.
    pub standing: LiveState,
    /// What the role is for.
    pub description: String,
    /// Which front end its users see.
    pub frontend_view: FrontendView,
    /// The grants that are sent.
    pub grants: Vec<String>,
    /// How many Deny grants are not sent, as the Allow grants say it all without them.
    pub compiled_away: usize,
    /// Why nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// Whether the role at Amigo is as the spec says, by the operator's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveState {
    /// It is.
    pub in_sync: bool,
    /// The reason of the Ready condition; none before the operator has seen the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What there is to say.
    pub message: String,
}

impl Live {
    /// What is known of a Role.
    pub fn of(role: &Role, setting: &Setting) -> Self {
        let wanted = setting.wanted(&role.spec);
        let shown = wanted.as_ref().map_or_else(|_| DesiredRole::uncompiled(&role.spec), Clone::clone);
        Self {
            name: role.name_any(),
            namespace: role.namespace().unwrap_or_default(),
            organization: role.spec.organization_ref.name.clone(),
            role_name: role.remote_name(),
            standing: LiveState::of(role),
            description: shown.description,
            frontend_view: role.spec.frontend_view,
            grants: shown.grants.iter().map(line).collect(),
            compiled_away: shown.compiled_away,
            refusal: wanted.err(),
        }
    }
}

impl LiveState {
    /// What the status says, if it speaks of this generation of the spec.
    pub fn of(role: &Role) -> Self {
        let status = role.status.clone().unwrap_or_default();
        let Some(ready) = conditions::find(&status.conditions, condition::READY) else {
            let message = "the operator has not looked at it yet: is amigo-operator running?".to_owned();
            return Self { in_sync: false, reason: None, message };
        };
        let is_current = status.observed_generation == role.metadata.generation;
        let message = if is_current {
            ready.message.clone()
        } else {
            "the operator has not looked at the present spec yet".to_owned()
        };
        let in_sync = is_current && ready.status == ConditionStatus::True.as_str();
        Self { in_sync, reason: Some(ready.reason.clone()).filter(|_| is_current), message }
    }

    /// In a line.
    pub fn told(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{reason}: {}", self.message),
            None => self.message.clone(),
        }
    }
}
