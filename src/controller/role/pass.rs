//! One pass over one role, and what its status says afterwards.

use std::time::Duration;

use amigo_api::{
    DenyRecord, Role, RoleStatus,
    conditions::{self, Stamp},
    reasons::{self, condition},
};
use amigo_client::{Client, Error, ErrorKind, RemoteGrants, RemoteRole, RoleChange};
use amigo_lifecycle::role::{self, DesiredRole, Plan, PlanInput, plan};
use amigo_lifecycle::{Failure, RetryClass};
use kube::ResourceExt as _;

use super::advice;
use crate::controller::{
    announce,
    audit::AuditLine,
    connection::{Connection, role_cache::Roles},
    context::{Announcement, Context, ReconcileError},
    readiness,
};

/// How old a listing may be that proves that a Deny may be sent.
const EVIDENCE: Duration = Duration::from_secs(5);

/// How often a name that is taken by a role that is not listed makes the roles be listed anew.
const LISTING_OF_THE_TAKEN: Duration = Duration::from_secs(30);

/// What a pass came to: reason and message, or why not.
pub type Came = Result<(&'static str, String), Failure>;

/// One pass over one role.
pub struct Pass<'a> {
    role: &'a Role,
    context: &'a Context,
    /// The status as it is to be written.
    status: RoleStatus,
    /// The status as it was last read or written, and the object's version then.
    written: (RoleStatus, Option<String>),
    /// How many Deny grants the role at Amigo does without.
    compiled_away: usize,
}

impl<'a> Pass<'a> {
    /// A pass over the object as it was read.
    pub fn new(role: &'a Role, context: &'a Context) -> Self {
        let status = role.status.clone().unwrap_or_default();
        Self { role, context, status: status.clone(), written: (status, role.resource_version()), compiled_away: 0 }
    }

    /// Makes the role at Amigo what the spec says.
    ///
    /// # Errors
    /// Those of the Kubernetes API, before anything was sent.
    pub async fn pursue(&mut self, connection: &Connection, client: &Client) -> Result<Came, ReconcileError> {
        if self.status.organization.as_deref() != Some(client.organization_id()) {
            // Ids, marks and digests were another organization's.
            let conditions = std::mem::take(&mut self.status.conditions);
            let organization = Some(client.organization_id().to_owned());
            self.status = RoleStatus { organization, conditions, ..RoleStatus::default() };
        }
        let known = self.status.clone();
        let name = self.role.remote_name();
        let interval = connection.resync_interval().mul_f64(0.9);
        let mut decided = self.decide((&name, &known), (connection, client), interval).await;
        if decided.as_ref().is_ok_and(|(desired, plan, _)| desired.deny_record(plan).is_some()) {
            // What was true an interval ago is not enough to send a Deny.
            decided = self.decide((&name, &known), (connection, client), EVIDENCE).await;
        }
        match decided {
            Ok((desired, plan, observed)) => {
                let sends = matches!(plan, Plan::Create(_) | Plan::Update { .. });
                let change = format!("role {name} {}", desired.digest());
                // A refusal stands for a while: whatever else wakes the object must make neither call nor mark.
                if let Some(refusal) = connection.observed.refusal(&change, self.context.clock.boot()).filter(|_| sends)
                {
                    return Ok(Err(refusal));
                }
                let came = self.carry_out(&desired, plan, observed, (connection, client)).await?;
                if let Some(failure) = came.as_ref().err().filter(|_| sends) {
                    let until = self.context.clock.boot() + self.context.settings.tick * 5;
                    connection.observed.refused(change, failure, until);
                }
                Ok(came)
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// What to do, by a listing no older than `age`; with it the id of the role that is there.
    async fn decide<'d>(
        &self,
        (name, status): (&'d str, &'d RoleStatus),
        (connection, client): (&Connection, &Client),
        age: Duration,
    ) -> Result<(PlanInput<'d>, Plan, Option<String>), Failure>
    where
        'a: 'd,
    {
        let roles =
            connection.role_cache.get(client, &self.context.clock, age).await.map_err(|error| Failure::from(&error))?;
        let desired = self.desired(name, status, connection, &roles);
        let observed = present(&roles.listed, name, status.role_id.as_deref());
        let plan = plan(&desired, observed);
        Ok((desired, plan, observed.map(|role| role.id.clone())))
    }

    fn desired<'d>(
        &self,
        name: &'d str,
        status: &'d RoleStatus,
        connection: &Connection,
        roles: &Roles,
    ) -> PlanInput<'d>
    where
        'a: 'd,
    {
        let spec = &self.role.spec;
        let model = roles.model(connection.spec.permission_model);
        PlanInput {
            name,
            spec,
            model,
            desired: DesiredRole::from_spec(spec, model),
            deny_observed: roles.detected == amigo_client::PermissionModel::AllowDeny,
            drift_policy: spec.drift_policy.unwrap_or_else(|| connection.drift_policy()),
            status,
            suspended: spec.suspend || connection.spec.suspend,
        }
    }

    async fn carry_out(
        &mut self,
        desired: &PlanInput<'_>,
        plan: Plan,
        observed: Option<String>,
        (connection, client): (&Connection, &Client),
    ) -> Result<Came, ReconcileError> {
        let deny = desired.deny_record(&plan);
        Ok(match plan {
            Plan::Keep { id } => {
                self.settle(desired, id);
                if desired.is_managed() {
                    return Ok(Ok((reasons::READY, ready(desired.name, self.compiled_away))));
                }
                let message =
                    format!("role {} was at Amigo as the spec says, and is managed from here on", desired.name);
                Ok((reasons::ADOPTED, message))
            }
            Plan::Skip(failure) => {
                if desired.is_managed() && observed.is_some() {
                    self.status.role_id = observed;
                }
                Err(failure)
            }
            Plan::RemoveGrants => Err(self.empty(desired, (connection, client)).await),
            Plan::Create(new) => {
                self.write_ahead(true, deny).await?;
                let answer = client.create_role(&new).await;
                if answer.as_ref().is_err_and(|error| !error.ambiguous()) {
                    self.status.creating = desired.status.creating;
                }
                if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict) {
                    self.unsent(desired);
                    return Ok(Err(self.name_taken(desired.name, (connection, client)).await));
                }
                self.applied(answer, desired, "created", (connection, client)).await
            }
            Plan::Update { change, fields: differs } => {
                // What is taken over is this object's to empty, even if the answer is lost.
                if !desired.is_managed() {
                    self.status.role_id = observed;
                }
                self.write_ahead(desired.status.creating, deny).await?;
                let answer = client.modify_role(desired.name, &change).await;
                self.applied(answer, desired, &format!("changed in {}", differs.join(", ")), (connection, client)).await
            }
        })
    }

    /// Writes down what is about to be sent, where the next pass must know of it even if the answer is lost.
    async fn write_ahead(&mut self, creating: bool, deny: Option<DenyRecord>) -> Result<(), ReconcileError> {
        let is_taken_over = self.status.role_id != self.written.0.role_id;
        if (creating && !self.status.creating) || deny.is_some() || is_taken_over {
            self.status.creating = creating;
            if deny.is_some() {
                self.status.denied_digests.extend(DesiredRole::uncompiled(&self.role.spec).denied_digests());
                self.status.denied_digests.sort();
                self.status.denied_digests.dedup();
                // Four specs of Denies without one answer: the status must be written all the same.
                self.status.denied_digests.truncate(1024);
            }
            self.status.deny = deny.or_else(|| self.status.deny.take());
            self.write().await?;
        }
        Ok(())
    }

    /// What was written ahead was not sent for certain.
    fn unsent(&mut self, desired: &PlanInput<'_>) {
        self.status.role_id.clone_from(&desired.status.role_id);
        self.status.deny.clone_from(&desired.status.deny);
        self.status.denied_digests.clone_from(&desired.status.denied_digests);
    }

    async fn applied(
        &mut self,
        answer: Result<String, Error>,
        desired: &PlanInput<'_>,
        what: &str,
        (connection, client): (&Connection, &Client),
    ) -> Came {
        let id = match answer {
            Ok(id) => id,
            Err(error) => {
                if !error.ambiguous() {
                    self.unsent(desired);
                }
                // What was listed is no longer true, or never was: look again before the next attempt.
                if error.ambiguous() || error.kind() == ErrorKind::NotFound {
                    connection.role_cache.forget().await;
                }
                return Err(Failure::from(&error));
            }
        };
        self.status.role_id = Some(id.clone());
        self.status.creating = false;
        let message = format!("role {} was {what} at Amigo", desired.name);
        self.tell(reasons::APPLIED, &message);
        if self.status.deny.is_some() {
            self.verify(desired, &id, (connection, client)).await?;
        } else {
            connection.role_cache.put(role::role_after(desired, id.clone())).await;
        }
        self.settle(desired, id);
        Ok((reasons::APPLIED, message))
    }

    /// Makes sure that a Deny that was sent is a Deny at Amigo.
    async fn verify(
        &mut self,
        desired: &PlanInput<'_>,
        id: &str,
        (connection, client): (&Connection, &Client),
    ) -> Result<(), Failure> {
        connection.role_cache.forget().await;
        let roles = connection.role_cache.get(client, &self.context.clock, EVIDENCE).await.map_err(|error| {
            let failure = Failure::from(&error);
            let message =
                format!("role {} was sent with a Deny that is still to be seen: {}", desired.name, failure.message);
            Failure { message, ..failure }
        })?;
        let Some(there) = roles.listed.iter().find(|role| role.id == id) else {
            connection.role_cache.forget().await;
            let message = format!("role {} was sent with a Deny, and Amigo does not list it yet", desired.name);
            return Err(Failure::new(reasons::PENDING, RetryClass::Transient, message));
        };
        if let RemoteGrants::Raw { reason, .. } = &there.grants {
            // Neither a Deny nor an Allow: the record stays until it can be read.
            return Err(role::unreadable(desired.name, reason));
        }
        let dropped = PlanInput::has_dropped(&DesiredRole::uncompiled(desired.spec).denied_digests(), there);
        if dropped { Err(self.empty(desired, (connection, client)).await) } else { Ok(()) }
    }

    /// Takes away what a Deny that became an Allow gives.
    async fn empty(&mut self, desired: &PlanInput<'_>, (connection, client): (&Connection, &Client)) -> Failure {
        self.status.deny = Some(DenyRecord { digest: desired.uncompiled_digest(), dropped: true });
        let change = RoleChange { permission_grants: Some(Vec::new()), ..RoleChange::default() };
        match client.modify_role(desired.name, &change).await {
            Ok(id) => {
                self.status.role_id = Some(id.clone());
                self.status.denied_digests.clear();
                let emptied =
                    RemoteRole { grants: RemoteGrants::Understood(Vec::new()), ..role::role_after(desired, id) };
                connection.role_cache.put(emptied).await;
                role::deny_dropped(desired.name)
            }
            Err(error) => {
                connection.role_cache.forget().await;
                let failure = Failure::from(&error);
                let message = format!(
                    "Amigo made Allows of the Deny grants of role {}, and the role could not be emptied: {}",
                    desired.name, failure.message
                );
                Failure { message, ..failure }
            }
        }
    }

    /// The name is taken, and the listing that was planned with does not show by whom.
    async fn name_taken(&self, name: &str, (connection, client): (&Connection, &Client)) -> Failure {
        let roles = match connection.role_cache.get(client, &self.context.clock, LISTING_OF_THE_TAKEN).await {
            Ok(roles) => roles,
            Err(error) => return Failure::from(&error),
        };
        if present(&roles.listed, name, None).is_some() {
            let message = format!("role {name} came to be at Amigo in between and is looked at again");
            return Failure::new(reasons::PENDING, RetryClass::Transient, message);
        }
        let message = format!(
            "role {name} cannot be created: its name is taken by a role that the operator's user may not see: give that \
             user Role:GetRole for it, or choose another roleName"
        );
        Failure::new(reasons::NAME_TAKEN, RetryClass::Persistent, message)
    }

    /// The role at Amigo is as the spec says.
    fn settle(&mut self, desired: &PlanInput<'_>, id: String) {
        self.status.role_id = Some(id);
        self.status.applied_digest = Some(desired.digest());
        self.compiled_away = desired.desired.as_ref().map_or(0, |role| role.compiled_away);
        self.status.creating = false;
        self.status.deny = None;
        self.status.denied_digests = desired.desired.as_ref().map_or_else(|_| Vec::new(), DesiredRole::denied_digests);
    }

    /// Writes the status if it says anything new, and tells of what changed.
    ///
    /// # Errors
    /// Those of the Kubernetes API.
    pub async fn report(mut self, came: Came) -> Result<(), ReconcileError> {
        let generation = self.role.metadata.generation.unwrap_or_default();
        let stamp = Stamp { generation, now: self.context.clock.now() };
        let name = self.role.remote_name();
        // "Applied" and "Adopted" are told once; the condition says the lasting thing.
        let told = match &came {
            Ok((reasons::ADOPTED, message)) => {
                self.tell(reasons::ADOPTED, message);
                true
            }
            Ok((reason, _)) => *reason == reasons::APPLIED,
            Err(_) => false,
        };
        let result = came.as_ref().map(|_| (reasons::READY, ready(&name, self.compiled_away)));
        readiness::set_ready(&mut self.status.conditions, result, stamp);
        advice::set(self.role, &mut self.status.conditions, stamp);
        self.status.observed_generation = self.role.metadata.generation;
        self.status.role_name = Some(name);
        if self.status != self.written.0 {
            self.write().await?;
        }
        let before = self.role.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        // Assignments wait for roles to be ready. Nothing else wakes them: each may make a call.
        if conditions::is_true(before, condition::READY)
            != conditions::is_true(&self.status.conditions, condition::READY)
        {
            self.context.triggers.assignments.pull();
        }
        if let Some(news) =
            readiness::readiness_event(before, &self.status.conditions).filter(|news| !told || news.warning)
        {
            announce::emit(self.role, news, about(self.role), self.context);
        }
        Ok(())
    }

    fn tell(&self, reason: &'static str, message: &str) {
        let announcement = Announcement { reason, message: message.to_owned(), warning: false };
        announce::emit(self.role, announcement, about(self.role), self.context);
    }

    async fn write(&mut self) -> Result<(), ReconcileError> {
        let mut object = Role { status: Some(self.status.clone()), ..self.role.clone() };
        object.metadata.resource_version.clone_from(&self.written.1);
        let written = self.context.write_status(&self.context.api_of(self.role), &object).await?;
        self.written = (self.status.clone(), written.resource_version());
        Ok(())
    }
}

/// The role's document: for a day after a change the API may list two of one name.
fn present<'a>(roles: &'a [RemoteRole], name: &str, known: Option<&str>) -> Option<&'a RemoteRole> {
    let mut named = roles.iter().filter(|role| role.name == name);
    named.clone().find(|role| Some(role.id.as_str()) == known).or_else(|| named.next_back())
}

/// What is said of a role that is as it should be.
fn ready(name: &str, compiled_away: usize) -> String {
    let as_wanted = format!("role {name} is as the spec says");
    let count = match compiled_away {
        0 => return as_wanted,
        1 => "1 Deny grant was".to_owned(),
        count => format!("{count} Deny grants were"),
    };
    format!(
        "{as_wanted}; {count} compiled away, since this organization's API supports only Allow: temporary grants are not \
         barred by them"
    )
}

/// What an audit line says of every role.
pub fn about(role: &Role) -> AuditLine {
    AuditLine {
        organization: role.spec.organization_ref.name.clone(),
        access: vec![role.remote_name()],
        ..AuditLine::default()
    }
}
