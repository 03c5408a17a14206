//! What to do with a role at Amigo: a pure function of the desired role, the observed role, and the status.

use amigo_api::{Adoption, DenyRecord, DriftPolicy, RoleSpec, RoleStatus, reasons};
use amigo_client::{Excerpt, NewRole, PermissionModel, RemoteGrants, RemoteRole, RoleChange};
use amigo_permissions::{Action, NoEquivalent};

use super::desired::{DesiredRole, grant_digest};
use crate::{Failure, RetryClass};

/// The arguments of [`plan`], except for the observed role.
#[derive(Clone, Debug)]
pub struct PlanInput<'a> {
    /// The role's name at Amigo.
    pub name: &'a str,
    /// The object's spec.
    pub spec: &'a RoleSpec,
    /// The permission model of the organization's API.
    pub model: PermissionModel,
    /// The role to send to that API.
    pub desired: Result<DesiredRole, NoEquivalent>,
    /// Whether the listing proves that the API supports Deny. A configured model is no proof.
    pub deny_observed: bool,
    /// What to do with changes that others made at Amigo.
    pub drift_policy: DriftPolicy,
    /// The object's status in this organization.
    pub status: &'a RoleStatus,
    /// Whether changes at Amigo are suspended.
    pub suspended: bool,
}

/// What to do with the role at Amigo.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// The role matches the spec.
    Keep {
        /// The role's id.
        id: String,
    },
    /// The role does not exist: create it.
    Create(NewRole),
    /// The role differs: send the fields that differ.
    Update {
        /// The change to send.
        change: RoleChange,
        /// The spec fields that differ.
        fields: Vec<&'static str>,
    },
    /// Amigo stored its Deny grants as Allow grants: remove all grants.
    RemoveGrants,
    /// Leave the role unchanged and report why.
    Skip(Failure),
}

impl PlanInput<'_> {
    /// Whether this object created or adopted the role. A creation with an unknown outcome counts, so that the object
    /// adopts its own role.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.status.role_id.is_some() || self.status.creating
    }

    /// The digest of the desired role, or of the spec as written if no role can be sent.
    #[must_use]
    pub fn digest(&self) -> String {
        self.desired.as_ref().map_or_else(|_| self.uncompiled_digest(), DesiredRole::digest)
    }

    /// The digest of the spec as written, with its Deny grants.
    #[must_use]
    pub fn uncompiled_digest(&self) -> String {
        DesiredRole::uncompiled(self.spec).digest()
    }

    /// Whether the spec changed since it was last applied.
    fn is_changed(&self) -> bool {
        self.status.applied_digest.as_deref() != Some(&self.digest())
    }

    /// Whether the current spec was already sent: sending it again would not make unreadable grants readable.
    fn was_sent(&self) -> bool {
        let record = self.status.deny.as_ref().filter(|record| !record.dropped);
        !self.is_changed() || record.is_some_and(|record| record.digest == self.uncompiled_digest())
    }

    /// Whether the role to send has a Deny grant.
    fn sends_deny(&self) -> bool {
        self.desired.as_ref().is_ok_and(DesiredRole::has_deny)
    }

    /// The record to write to the status before this plan sends a Deny grant.
    #[must_use]
    pub fn deny_record(&self, plan: &Plan) -> Option<DenyRecord> {
        let sends_grants = match plan {
            Plan::Create(_) => true,
            Plan::Update { change, .. } => change.permission_grants.is_some(),
            _ => false,
        };
        (sends_grants && self.sends_deny()).then(|| DenyRecord { digest: self.uncompiled_digest(), dropped: false })
    }

    /// Whether Amigo returns one of these sent Deny grants without its action, which makes it an Allow.
    #[must_use]
    pub fn has_dropped(denied: &[String], observed: &RemoteRole) -> bool {
        let RemoteGrants::Understood(grants) = &observed.grants else { return false };
        let without_action = grants.iter().filter(|grant| grant.action.is_none());
        without_action
            .into_iter()
            .any(|grant| denied.contains(&grant_digest(&grant.permission_name, &grant.conditions)))
    }

    /// The digests of all Deny grants that may be at Amigo, including those of earlier specs.
    fn sent_denies(&self) -> Vec<String> {
        let mut sent = self.status.denied_digests.clone();
        // A status that an earlier version wrote has no digests.
        let sent_as_written =
            self.status.deny.is_some() || self.status.applied_digest.as_ref() == Some(&self.uncompiled_digest());
        if sent_as_written {
            sent.extend(DesiredRole::uncompiled(self.spec).denied_digests());
        }
        sent
    }
}

/// Decides what to do with the role.
#[must_use]
pub fn plan(input: &PlanInput<'_>, observed: Option<&RemoteRole>) -> Plan {
    if let Some(plan) = plan_for_dropped_deny(input, observed) {
        return plan;
    }
    if let Some(RemoteGrants::Raw { reason, .. }) = observed.map(|role| &role.grants)
        && input.was_sent()
    {
        return Plan::Skip(unreadable(input.name, reason));
    }
    let desired = match sendable(input) {
        Ok(desired) => desired,
        Err(refusal) => return Plan::Skip(refusal),
    };
    let Some(observed) = observed else {
        return if input.suspended {
            Plan::Skip(suspended(input.name))
        } else {
            Plan::Create(desired.to_new_role(input.name))
        };
    };
    let (change, fields) = desired.diff(observed);
    if fields.is_empty() {
        return if input.is_managed() || input.spec.adoption != Adoption::Never {
            Plan::Keep { id: observed.id.clone() }
        } else {
            Plan::Skip(not_adopted(input, &fields))
        };
    }
    if !input.is_managed() && input.spec.adoption != Adoption::Override {
        return Plan::Skip(not_adopted(input, &fields));
    }
    if input.suspended {
        return Plan::Skip(suspended(input.name));
    }
    if input.is_managed() && !input.is_changed() && input.drift_policy == DriftPolicy::Report {
        let message = format!(
            "role {} was changed at Amigo ({}), and driftPolicy is Report. Revert the change at Amigo, or set driftPolicy \
             to Correct",
            input.name,
            fields.join(", ")
        );
        return Plan::Skip(Failure::new(reasons::DRIFTED, RetryClass::Persistent, message));
    }
    Plan::Update { change, fields }
}

/// The role to send, or why the operator must not send any.
fn sendable<'d>(input: &'d PlanInput<'_>) -> Result<&'d DesiredRole, Failure> {
    if input.name.starts_with("Default") {
        let message = format!("role name {} is reserved for Amigo's own roles. Choose another roleName", input.name);
        return Err(Failure::new(reasons::RESERVED_NAME, RetryClass::Permanent, message));
    }
    if input.model == PermissionModel::AllowOnly && input.spec.is_base_role == Some(true) {
        let message = "isBaseRole is not supported by this organization's API. Remove the field".to_owned();
        return Err(Failure::new(reasons::INVALID_SPEC, RetryClass::Permanent, message));
    }
    let desired = input.desired.as_ref().map_err(|refusal| {
        let advice = refusal.advice();
        let message =
            format!("this organization's API supports only Allow, and {refusal}. To create the role, {advice}");
        Failure::new(reasons::DENY_NOT_SUPPORTED, RetryClass::Permanent, message)
    })?;
    let denied = desired.grants.iter().position(|line| line.grant.action == Action::Deny);
    if let Some(index) = denied.filter(|_| !input.deny_observed) {
        let message = format!(
            "permissionGrants[{index}] denies {}. The Organization's permissionModel is AllowDeny, but no role that the \
             operator can read shows that the API supports Deny, and an API without Deny would allow the permission. Set \
             permissionModel to Detect, or replace the Deny with narrower Allow grants",
            desired.grants[index].grant.permission_name
        );
        return Err(Failure::new(reasons::DENY_NOT_SUPPORTED, RetryClass::Permanent, message));
    }
    Ok(desired)
}

/// The plan for a role whose Deny grants became Allow grants; it takes precedence over everything else.
fn plan_for_dropped_deny(input: &PlanInput<'_>, observed: Option<&RemoteRole>) -> Option<Plan> {
    let observed = observed?;
    let record = input.status.deny.as_ref();
    let supports_deny = input.model == PermissionModel::AllowDeny;
    // The API may drop Deny grants long after they were observed, and after the spec no longer has them.
    let allows = PlanInput::has_dropped(&input.sent_denies(), observed);
    let is_dropped =
        record.is_some_and(|record| supports_deny && record.dropped && record.digest == input.uncompiled_digest());
    if !allows && !is_dropped {
        return None;
    }
    // The spec may now allow what it denied before.
    if sendable(input).is_ok_and(|desired| !desired.has_deny() && desired.diff(observed).1.is_empty()) {
        return None;
    }
    let is_empty = matches!(&observed.grants, RemoteGrants::Understood(grants) if grants.is_empty());
    Some(match (is_empty, input.suspended, sendable(input)) {
        (true, ..) => Plan::Skip(deny_dropped(input.name)),
        (false, true, _) => Plan::Skip(suspended(input.name)),
        (false, false, Ok(desired)) if !desired.has_deny() => {
            let (change, fields) = desired.diff(observed);
            Plan::Update { change, fields }
        }
        (false, false, _) => Plan::RemoveGrants,
    })
}

/// The failure of a role whose Deny grants became Allow grants.
#[must_use]
pub fn deny_dropped(name: &str) -> Failure {
    let message = format!(
        "Amigo stored the Deny grants of role {name} as Allow grants. The operator removed all grants of the role and \
         does not send them again. Remove the Deny grants from the spec"
    );
    Failure::new(reasons::DENY_DROPPED, RetryClass::Permanent, message)
}

/// The failure of a role whose grants cannot be parsed.
#[must_use]
pub fn unreadable(name: &str, reason: &Excerpt) -> Failure {
    let message = format!(
        "Amigo returned grants of role {name} that the operator cannot parse ({reason}), so the role stays unchanged. Check \
         the role at Amigo. To overwrite it, change the spec"
    );
    Failure::new(reasons::INVALID_RESPONSE, RetryClass::Persistent, message)
}

fn not_adopted(input: &PlanInput<'_>, fields: &[&str]) -> Failure {
    let how =
        if fields.is_empty() { "matches the spec".to_owned() } else { format!("differs in {}", fields.join(", ")) };
    let message = format!(
        "role {} exists at Amigo and {how}, but adoption is {:?}. To manage the role, set adoption to Override",
        input.name, input.spec.adoption
    );
    Failure::new(reasons::ADOPTION_REFUSED, RetryClass::Persistent, message)
}

fn suspended(name: &str) -> Failure {
    let message = format!("role {name} differs from the spec; the operator makes no changes while suspended");
    Failure::new(reasons::SUSPENDED, RetryClass::Transient, message)
}

/// The role at Amigo after a plan was applied, for the cache. A role that must not be sent has no grants.
#[must_use]
pub fn role_after(input: &PlanInput<'_>, id: String) -> RemoteRole {
    match &input.desired {
        Ok(desired) => desired.to_remote_role(input.name, id),
        Err(_) => {
            DesiredRole { grants: Vec::new(), ..DesiredRole::uncompiled(input.spec) }.to_remote_role(input.name, id)
        }
    }
}
