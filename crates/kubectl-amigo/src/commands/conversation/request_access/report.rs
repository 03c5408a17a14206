//! What the user reads of a request: where it is, what it opened, how to end it.

use amigo_api::{
    IssuedGrant, Organization, TemporaryPermissionGrant, TemporaryPermissionGrantStatus, conditions::whole_second,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::wait::{FIRST_LOOK, Obstacle};
use crate::{
    Console, Exit, Failure, Session,
    console::GOOD,
    output::{self, OutputFormat},
    table::{columns, countdown},
};

/// What is the same in all that is said of one request.
pub struct Report {
    name: String,
    namespace: String,
    organization: String,
    operator_namespace: String,
    revoke_within: Option<String>,
    /// `-n NAMESPACE`, where the user named one and must do so again.
    place: String,
}

impl Report {
    /// About this request of this Organization.
    pub fn new(grant: &TemporaryPermissionGrant, organization: &Organization, session: &Session) -> Self {
        let default = || organization.spec.grants.as_ref().and_then(|rules| rules.revoke_within.clone());
        let place = session.options.namespace.as_ref();
        Self {
            name: grant.name_any(),
            namespace: grant.namespace().unwrap_or_default(),
            organization: organization.name_any(),
            operator_namespace: session.options.operator_namespace.clone(),
            revoke_within: grant.spec.revoke_within.clone().or_else(default),
            place: place.map_or_else(String::new, |namespace| format!(" -n {namespace}")),
        }
    }

    /// The request stands.
    pub fn created(&self) -> String {
        format!("Request {} created in namespace {}.", self.name, self.namespace)
    }

    /// Says what is open and how to end it, then prints the grants.
    pub fn granted(
        &self,
        grant: &TemporaryPermissionGrant,
        format: OutputFormat,
        session: &mut Session,
    ) -> Result<(), Failure> {
        session.console.tell(&self.opened(grant, session.clock.now()));
        session.console.tell(&self.ending());
        grants(grant, format, &mut session.console)
    }

    /// Prints the grants of a request that was not served whole, if there are any.
    pub fn partial(
        &self,
        grant: &TemporaryPermissionGrant,
        format: OutputFormat,
        console: &mut Console,
    ) -> Result<(), Failure> {
        if issued(grant).is_none_or(|status| status.grants.is_empty()) {
            return Ok(());
        }
        console.warn(&format!("a part of the access is live. {}", self.ending()));
        grants(grant, format, console)
    }

    fn opened(&self, grant: &TemporaryPermissionGrant, now: Timestamp) -> String {
        let user = grant.spec.user.label();
        let status = issued(grant);
        let owner = status.and_then(|status| status.conversation_owner_user_id.as_deref()).unwrap_or("this owner");
        let end =
            status.and_then(|status| if self.revoke_within.is_some() { status.deadline } else { status.expires_at });
        let until =
            end.map_or_else(String::new, |end| format!(" until {} ({})", whole_second(end), countdown(end, now)));
        format!(
            "{GOOD}Granted:{GOOD:#} {user} may read all conversations of {owner} at Organization {}{until}.",
            self.organization
        )
    }

    fn ending(&self) -> String {
        let revoke = self.revoke();
        match &self.revoke_within {
            Some(within) => format!("`{revoke}` ends the access within {within}."),
            None => format!("`{revoke}` deletes the request; Amigo cannot take this access back, it lasts to its end."),
        }
    }

    fn revoke(&self) -> String {
        format!("kubectl amigo revoke {}{}", self.name, self.place)
    }

    /// Why the access is not there, and what to do.
    pub fn failure(&self, obstacle: &Obstacle) -> Failure {
        let (name, revoke) = (&self.name, self.revoke());
        let explain = format!("kubectl amigo explain {name}{}", self.place);
        match obstacle {
            Obstacle::Refused(why) => Failure::refused(format!("request {name} was refused: {why}"))
                .advise(format!("`{explain}` tells more, `{revoke}` deletes the request")),
            Obstacle::Stalled(why) => Failure::refused(format!("request {name} cannot be served: {why}")).advise(format!(
                "the request stands, and is served if that changes before its activation deadline; `{revoke}` withdraws it"
            )),
            Obstacle::Untouched => {
                let waited = FIRST_LOOK.as_secs();
                Failure::failed(format!("amigo-operator has not looked at request {name} for {waited} seconds"))
                    .exiting(Exit::Pending)
                    .advise(format!(
                        "the request stands, and is served when the operator runs: see `kubectl -n {} get pods`; `{revoke}` withdraws it",
                        self.operator_namespace
                    ))
            }
            Obstacle::TimedOut(why) => Failure::failed(format!("request {name} is not granted in time: {why}"))
                .exiting(Exit::TimedOut)
                .advise(format!("the request stands; `{explain}` shows how it goes on, `{revoke}` withdraws it")),
            Obstacle::Ended => Failure::failed(format!("the time of request {name} is over")),
            Obstacle::Gone => Failure::failed(format!("request {name} was deleted while it was waited for"))
                .advise("access that was issued before may go on; the operator's audit log says so"),
            Obstacle::Unreadable(why) => Failure::failed(format!("request {name} stands, but you may not see how it goes on: {why}"))
                .exiting(Exit::Pending)
                .advise(format!(
                    "ask whoever runs the cluster for the verbs get, list and watch on temporarypermissiongrants in \
                     namespace {}, or use --no-wait",
                    self.namespace
                )),
            Obstacle::Interrupted => Failure::failed(format!("no longer waiting; request {name} stands"))
                .exiting(Exit::Interrupted)
                .advise(format!("`{explain}` shows how it goes on, `{revoke}` withdraws it")),
        }
    }
}

/// Prints the Kubernetes object, by its name unless JSON or YAML is wanted.
pub fn print(grant: &TemporaryPermissionGrant, format: OutputFormat, console: &mut Console) -> Result<(), Failure> {
    Ok(console.data(&output::object(grant, format)?)?)
}

fn grants(grant: &TemporaryPermissionGrant, format: OutputFormat, console: &mut Console) -> Result<(), Failure> {
    match format {
        OutputFormat::Table => Ok(console.data(&table(grant))?),
        format => print(grant, format, console),
    }
}

fn issued(grant: &TemporaryPermissionGrant) -> Option<&TemporaryPermissionGrantStatus> {
    grant.status.as_ref()
}

/// The guide's table: what is issued, in the order of the guide's permissions.
fn table(grant: &TemporaryPermissionGrant) -> String {
    let mut grants: Vec<_> = issued(grant).into_iter().flat_map(|status| &status.grants).collect();
    grants.sort_by_key(|grant| (grant.slot, grant.lease));
    let cells = |grant: &IssuedGrant| {
        [grant.permission_name.clone(), grant.id.clone(), whole_second(grant.expires_at).to_string()]
    };
    columns(["PERMISSION", "GRANT ID", "EXPIRES"], &grants.into_iter().map(cells).collect::<Vec<_>>())
}
