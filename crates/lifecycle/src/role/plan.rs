//! What to do with a role at Amigo: a pure function of the desired role, the observed role, and the status.

use amigo_api::{Adoption, DenyRecord, DriftPolicy, ManagementPolicy, RoleSpec, RoleStatus, SentRole, reasons};
use amigo_client::{Excerpt, NewRole, PermissionModel, RemoteGrants, RemoteRole, RoleChange};
use amigo_permissions::{Action, NoEquivalent};
use jiff::Timestamp;

use super::desired::{DesiredRole, content_digest, grant_digest};
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
        /// Whether another client made the role, and this object takes it over.
        adopted: bool,
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
    /// Whether this object created or adopted the role.
    #[must_use]
    pub fn is_owner(&self, observed: &RemoteRole) -> bool {
        is_owner(self.status, observed)
    }

    /// The digest of the spec as written, with its Deny grants.
    #[must_use]
    pub fn digest(&self) -> String {
        DesiredRole::uncompiled(self.spec).digest()
    }

    /// What the status records about the desired role when it is sent.
    #[must_use]
    pub fn sent(&self, at: Timestamp, role_id: Option<String>) -> Option<SentRole> {
        let digest = self.desired.as_ref().ok()?.content_digest();
        Some(SentRole { digest, at, role_id })
    }

    /// Whether Amigo has the role that the operator last sent: nobody else changed it.
    fn is_as_sent(&self, observed: &RemoteRole) -> bool {
        let digest = content_digest(observed, &self.status.denied_digests);
        self.status.sent.as_ref().is_some_and(|sent| sent.digest == digest)
    }

    /// Whether the observed document is the one that Amigo returned when the operator sent the desired role. Others
    /// cannot change its grants and its front end, because that creates another document.
    fn is_own_document(&self, desired: &DesiredRole, observed: &RemoteRole) -> bool {
        let sent = self.status.sent.as_ref().filter(|sent| sent.role_id.as_ref() == Some(&observed.id));
        sent.is_some_and(|sent| sent.digest == desired.content_digest())
    }

    /// Whether the spec changed since it was last applied.
    fn is_changed(&self) -> bool {
        self.status.applied_digest.as_deref() != Some(&self.digest())
    }

    /// Whether the current spec was already sent: sending it again would not make unreadable grants readable.
    fn was_sent(&self) -> bool {
        let record = self.status.deny.as_ref().filter(|record| !record.dropped);
        !self.is_changed() || record.is_some_and(|record| record.digest == self.digest())
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
        (sends_grants && self.sends_deny()).then(|| DenyRecord { digest: self.digest(), dropped: false })
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
        if self.status.deny.is_some() {
            sent.extend(DesiredRole::uncompiled(self.spec).denied_digests());
        }
        sent
    }
}

/// Decides what to do with the role.
#[must_use]
pub fn plan(input: &PlanInput<'_>, observed: Option<&RemoteRole>) -> Plan {
    if input.spec.management_policy == ManagementPolicy::Observe {
        return observe_only(input, observed);
    }
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
    plan_for_existing(input, desired, observed)
}

/// The plan for a role that exists and that the operator may send.
fn plan_for_existing(input: &PlanInput<'_>, desired: &DesiredRole, observed: &RemoteRole) -> Plan {
    let (mut change, mut fields) = desired.diff(observed);
    let owned = input.is_owner(observed);
    let may_adopt = if fields.is_empty() {
        Adoption::Never != input.spec.adoption
    } else {
        input.spec.adoption == Adoption::Override
    };
    if !owned && !may_adopt {
        return Plan::Skip(not_adopted(input, &fields));
    }
    if fields.is_empty() {
        return Plan::Keep { id: observed.id.clone(), adopted: !owned };
    }
    if input.is_own_document(desired, observed) {
        (change.permission_grants, change.frontend_view) = (None, None);
        let stored = std::mem::take(&mut fields);
        if change.description.is_none() {
            return Plan::Skip(stored_differently(input.name, &stored));
        }
        fields.push("description");
    }
    if input.suspended {
        return Plan::Skip(suspended(input.name));
    }
    let is_drift = owned && !input.is_changed() && !input.is_as_sent(observed);
    if is_drift && input.drift_policy == DriftPolicy::Report {
        return Plan::Skip(drifted(input.name, &fields));
    }
    Plan::Update { change, fields }
}

/// The plan for a role that the object only observes: it never sends anything.
fn observe_only(input: &PlanInput<'_>, observed: Option<&RemoteRole>) -> Plan {
    let Some(observed) = observed else {
        let message = format!("role {} does not exist at Amigo, and managementPolicy is Observe", input.name);
        return Plan::Skip(Failure::new(reasons::DRIFTED, RetryClass::Persistent, message));
    };
    if let RemoteGrants::Raw { reason, .. } = &observed.grants {
        return Plan::Skip(unreadable(input.name, reason));
    }
    let fields = match sendable(input) {
        Ok(desired) => desired.diff(observed).1,
        Err(refusal) => return Plan::Skip(refusal),
    };
    if fields.is_empty() {
        return Plan::Keep { id: observed.id.clone(), adopted: false };
    }
    let message = format!(
        "role {} at Amigo differs from the spec ({}), and managementPolicy is Observe. Change the spec, or set \
         managementPolicy to Manage",
        input.name,
        fields.join(", ")
    );
    Plan::Skip(Failure::new(reasons::DRIFTED, RetryClass::Persistent, message))
}

fn drifted(name: &str, fields: &[&str]) -> Failure {
    let message = format!(
        "role {name} was changed at Amigo ({}), and driftPolicy is Report. Revert the change at Amigo, or set driftPolicy to \
         Correct",
        fields.join(", ")
    );
    Failure::new(reasons::DRIFTED, RetryClass::Persistent, message)
}

/// The failure of a role that Amigo returns in another form than the operator sent. To send it again changes nothing.
fn stored_differently(name: &str, fields: &[&str]) -> Failure {
    let message = format!(
        "Amigo stores role {name} differently from what the operator sent ({}), so the operator does not send it again. \
         Write the spec as `kubectl amigo role export {name}` shows it",
        fields.join(", ")
    );
    Failure::new(reasons::DRIFTED, RetryClass::Persistent, message)
}

/// Whether the object with this status created or adopted the role. A creation without a confirmation counts only for a
/// role with the content that was sent: somebody else may have created another one with the same name.
#[must_use]
pub fn is_owner(status: &RoleStatus, observed: &RemoteRole) -> bool {
    let unconfirmed = status.sent.as_ref().filter(|sent| sent.role_id.is_none());
    status.role_id.is_some()
        || unconfirmed.is_some_and(|sent| sent.digest == content_digest(observed, &status.denied_digests))
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
    let observed = observed.filter(|observed| input.is_owner(observed))?;
    let record = input.status.deny.as_ref();
    let supports_deny = input.model == PermissionModel::AllowDeny;
    // The API may drop Deny grants long after they were observed, and after the spec no longer has them.
    let allows = PlanInput::has_dropped(&input.sent_denies(), observed);
    let is_dropped = record.is_some_and(|record| supports_deny && record.dropped && record.digest == input.digest());
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
