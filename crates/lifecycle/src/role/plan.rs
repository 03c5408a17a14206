//! What to do about a role: a pure function of what is wanted, what is there, and what is known.

use amigo_api::{Adoption, DenyRecord, DriftPolicy, RoleSpec, RoleStatus, reasons};
use amigo_client::{Excerpt, NewRole, PermissionModel, RemoteGrants, RemoteRole, RoleChange};
use amigo_permissions::{Action, NoEquivalent};

use crate::{
    Failure, RetryClass,
    role::{self, Wanted},
};

/// What is wanted of a role at Amigo.
#[derive(Clone, Debug)]
pub struct Desired<'a> {
    /// Its name at Amigo.
    pub name: &'a str,
    /// The object's spec.
    pub spec: &'a RoleSpec,
    /// What the organization's API understands.
    pub model: PermissionModel,
    /// What the spec wants of such an API.
    pub wanted: Result<Wanted, NoEquivalent>,
    /// Whether the listing shows that the API knows Deny. A model that is merely forced is no evidence.
    pub deny_shown: bool,
    /// What happens to somebody else's changes.
    pub drift_policy: DriftPolicy,
    /// What is known of the role; that of another organization counts for nothing.
    pub status: &'a RoleStatus,
    /// Whether nothing may be changed at Amigo.
    pub suspended: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// The role is as it should be.
    Keep {
        /// Its id.
        id: String,
    },
    /// There is none: make it.
    Create(NewRole),
    /// It differs: change what differs.
    Change {
        /// The change.
        change: RoleChange,
        /// What differs, for people.
        differs: Vec<&'static str>,
    },
    /// Its Deny grants became Allows: it must not grant anything.
    Empty,
    /// It is left as it is, for a reason to be told.
    Leave(Failure),
}

impl Desired<'_> {
    /// Whether this object created or adopted the role before. A creation whose end was not seen counts: else the
    /// object would refuse to adopt its own role.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.status.role_id.is_some() || self.status.creating
    }

    /// What is sent, or could not be, in few characters.
    #[must_use]
    pub fn digest(&self) -> String {
        self.wanted.as_ref().map_or_else(|_| self.written_digest(), Wanted::digest)
    }

    /// What was sent if the Deny grants were.
    #[must_use]
    pub fn written_digest(&self) -> String {
        role::as_written(self.spec).digest()
    }

    /// Whether the spec is another than the one the role last followed.
    fn is_changed(&self) -> bool {
        self.status.applied_digest.as_deref() != Some(&self.digest())
    }

    /// Whether the spec was sent as it is: what then cannot be read is not mended by sending it again.
    fn was_sent(&self) -> bool {
        let record = self.status.deny.as_ref().filter(|record| !record.dropped);
        !self.is_changed() || record.is_some_and(|record| record.digest == self.written_digest())
    }

    /// Whether a Deny would be sent.
    fn sends_deny(&self) -> bool {
        self.wanted.as_ref().is_ok_and(Wanted::denies)
    }

    /// What is to be written down before this plan sends anything that denies.
    #[must_use]
    pub fn deny_record(&self, plan: &Plan) -> Option<DenyRecord> {
        let sends_grants = match plan {
            Plan::Create(_) => true,
            Plan::Change { change, .. } => change.permission_grants.is_some(),
            _ => false,
        };
        (sends_grants && self.sends_deny()).then(|| DenyRecord { digest: self.written_digest(), dropped: false })
    }

    /// Whether one of these Deny grants, which were sent, is an Allow at Amigo.
    #[must_use]
    pub fn has_dropped(denied: &[String], observed: &RemoteRole) -> bool {
        let RemoteGrants::Understood(grants) = &observed.grants else { return false };
        let forgotten = grants.iter().filter(|grant| grant.action.is_none());
        forgotten
            .into_iter()
            .any(|grant| denied.contains(&role::line_digest(&grant.permission_name, &grant.conditions)))
    }

    /// The Deny grants that may stand at Amigo: those that were sent, whatever the spec says by now.
    fn sent_denies(&self) -> Vec<String> {
        let mut sent = self.status.denied_digests.clone();
        // A status of an earlier version names none.
        let sent_as_written =
            self.status.deny.is_some() || self.status.applied_digest.as_ref() == Some(&self.written_digest());
        if sent_as_written {
            sent.extend(role::as_written(self.spec).denied_digests());
        }
        sent
    }
}

/// Decides.
#[must_use]
pub fn plan(desired: &Desired<'_>, observed: Option<&RemoteRole>) -> Plan {
    if let Some(plan) = contain(desired, observed) {
        return plan;
    }
    if let Some(RemoteGrants::Raw { reason, .. }) = observed.map(|role| &role.grants)
        && desired.was_sent()
    {
        return Plan::Leave(unreadable(desired.name, reason));
    }
    let wanted = match sendable(desired) {
        Ok(wanted) => wanted,
        Err(refusal) => return Plan::Leave(refusal),
    };
    let Some(observed) = observed else {
        return if desired.suspended {
            Plan::Leave(suspended(desired.name))
        } else {
            Plan::Create(wanted.creation(desired.name))
        };
    };
    let (change, differs) = wanted.difference(observed);
    if differs.is_empty() {
        return if desired.is_managed() || desired.spec.adoption != Adoption::Never {
            Plan::Keep { id: observed.id.clone() }
        } else {
            Plan::Leave(not_adopted(desired, &differs))
        };
    }
    if !desired.is_managed() && desired.spec.adoption != Adoption::Override {
        return Plan::Leave(not_adopted(desired, &differs));
    }
    if desired.suspended {
        return Plan::Leave(suspended(desired.name));
    }
    if desired.is_managed() && !desired.is_changed() && desired.drift_policy == DriftPolicy::Report {
        let message = format!(
            "role {} was changed at Amigo ({}) and driftPolicy is Report: set it back there, or set driftPolicy to Correct",
            desired.name,
            differs.join(", ")
        );
        return Plan::Leave(Failure::new(reasons::DRIFTED, RetryClass::Persistent, message));
    }
    Plan::Change { change, differs }
}

/// What may be sent; else why nothing may, whatever is there.
fn sendable<'d>(desired: &'d Desired<'_>) -> Result<&'d Wanted, Failure> {
    if desired.name.starts_with("Default") {
        let message = format!("role {} is one of Amigo's own: choose another roleName", desired.name);
        return Err(Failure::new(reasons::RESERVED_NAME, RetryClass::Permanent, message));
    }
    if desired.model == PermissionModel::AllowOnly && desired.spec.is_base_role == Some(true) {
        let message = "isBaseRole cannot be set: this organization's API knows no base roles. Remove it".to_owned();
        return Err(Failure::new(reasons::INVALID_SPEC, RetryClass::Permanent, message));
    }
    let wanted = desired.wanted.as_ref().map_err(|refusal| {
        let advice = refusal.advice();
        let message = format!("this organization's API knows only Allow, and {refusal}. To have the role, {advice}");
        Failure::new(reasons::DENY_NOT_SUPPORTED, RetryClass::Permanent, message)
    })?;
    let denied = wanted.grants.iter().position(|line| line.grant.action == Action::Deny);
    if let Some(place) = denied.filter(|_| !desired.deny_shown) {
        let message = format!(
            "permissionGrants[{place}] denies {}, and although the Organization's permissionModel is AllowDeny, no role \
             that the operator's user may see shows that the API knows Deny: sent there, it would allow. Set \
             permissionModel to Detect, or remove the Deny and narrow the Allow grants instead",
            wanted.grants[place].grant.permission_name
        );
        return Err(Failure::new(reasons::DENY_NOT_SUPPORTED, RetryClass::Permanent, message));
    }
    Ok(wanted)
}

/// What comes of Deny grants that became Allows: nothing else may come before it.
fn contain(desired: &Desired<'_>, observed: Option<&RemoteRole>) -> Option<Plan> {
    let observed = observed?;
    let record = desired.status.deny.as_ref();
    let knows_deny = desired.model == PermissionModel::AllowDeny;
    // The API may also forget its Denies long after they were seen there, and after they left the spec.
    let allows = Desired::has_dropped(&desired.sent_denies(), observed);
    let is_dropped =
        record.is_some_and(|record| knows_deny && record.dropped && record.digest == desired.written_digest());
    if !allows && !is_dropped {
        return None;
    }
    // What was denied may be what the spec allows by now.
    if sendable(desired).is_ok_and(|wanted| !wanted.denies() && wanted.difference(observed).1.is_empty()) {
        return None;
    }
    let is_empty = matches!(&observed.grants, RemoteGrants::Understood(grants) if grants.is_empty());
    Some(match (is_empty, desired.suspended, sendable(desired)) {
        (true, ..) => Plan::Leave(deny_dropped(desired.name)),
        (false, true, _) => Plan::Leave(suspended(desired.name)),
        (false, false, Ok(wanted)) if !wanted.denies() => {
            let (change, differs) = wanted.difference(observed);
            Plan::Change { change, differs }
        }
        (false, false, _) => Plan::Empty,
    })
}

/// What is said of a role whose Deny grants became Allows.
#[must_use]
pub fn deny_dropped(name: &str) -> Failure {
    let message = format!(
        "Amigo made Allows of the Deny grants of role {name}, so its grants were emptied and are not sent again: remove \
         the Deny grants"
    );
    Failure::new(reasons::DENY_DROPPED, RetryClass::Permanent, message)
}

/// What is said of a role whose grants cannot be read.
#[must_use]
pub fn unreadable(name: &str, reason: &Excerpt) -> Failure {
    let message = format!(
        "role {name} is listed with grants that cannot be read ({reason}), so it cannot be compared and is left as it is: \
         look at it at Amigo; a change of the spec is sent"
    );
    Failure::new(reasons::INVALID_RESPONSE, RetryClass::Persistent, message)
}

fn not_adopted(desired: &Desired<'_>, differs: &[&str]) -> Failure {
    let how = if differs.is_empty() { "is the same".to_owned() } else { format!("differs in {}", differs.join(", ")) };
    let message = format!(
        "role {} exists at Amigo and {how}; adoption is {:?}: set adoption to Override to take it over",
        desired.name, desired.spec.adoption
    );
    Failure::new(reasons::ADOPTION_REFUSED, RetryClass::Persistent, message)
}

fn suspended(name: &str) -> Failure {
    let message = format!("role {name} differs from the spec, and nothing is changed while suspended");
    Failure::new(reasons::SUSPENDED, RetryClass::Transient, message)
}

/// The role as it is after a plan was carried out, for the shared listing. What may not be sent was emptied.
#[must_use]
pub fn after(desired: &Desired<'_>, id: String) -> RemoteRole {
    match &desired.wanted {
        Ok(wanted) => wanted.applied(desired.name, id),
        Err(_) => Wanted { grants: Vec::new(), ..role::as_written(desired.spec) }.applied(desired.name, id),
    }
}
