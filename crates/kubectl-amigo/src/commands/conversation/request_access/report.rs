//! What the user reads about a request: its access, and how to end it.

use amigo_api::{
    IssuedGrant, Organization, TemporaryPermissionGrant, TemporaryPermissionGrantStatus, conditions::whole_second,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::outcome::{FIRST_LOOK, WaitFailure};
use crate::{
    Console, Exit, Failure, Session,
    console::GOOD,
    output::{self, OutputFormat},
    table::{columns, countdown},
};

/// What all texts about one request share.
pub struct Report {
    name: String,
    namespace: String,
    pub organization: String,
    operator_namespace: String,
    revoke_within: Option<String>,
    /// `-n NAMESPACE` if the user named one, for the commands in texts.
    namespace_option: String,
}

impl Report {
    pub fn new(grant: &TemporaryPermissionGrant, organization: &Organization, session: &Session) -> Self {
        let default = || organization.spec.grants.as_ref().and_then(|rules| rules.revoke_within.clone());
        let namespace = session.options.namespace.as_ref();
        Self {
            name: grant.name_any(),
            namespace: grant.namespace().unwrap_or_default(),
            organization: organization.name_any(),
            operator_namespace: session.options.operator_namespace.clone(),
            revoke_within: grant.spec.revoke_within.clone().or_else(default),
            namespace_option: namespace.map_or_else(String::new, |namespace| format!(" -n {namespace}")),
        }
    }

    pub fn created(&self) -> String {
        format!("Request {} created in namespace {}.", self.name, self.namespace)
    }

    /// Reports the access and how to end it, and prints the grants.
    pub fn granted(
        &self,
        grant: &TemporaryPermissionGrant,
        format: OutputFormat,
        session: &mut Session,
    ) -> Result<(), Failure> {
        session.console.report(&self.opened(grant, session.clock.now()));
        session.console.report(&self.ending());
        grants(grant, format, &mut session.console)
    }

    /// Prints the grants of a partially issued request, if any.
    pub fn partial(
        &self,
        grant: &TemporaryPermissionGrant,
        format: OutputFormat,
        console: &mut Console,
    ) -> Result<(), Failure> {
        if issued(grant).is_none_or(|status| status.grants.is_empty()) {
            return Ok(());
        }
        console.warn(&format!("only part of the access was granted. {}", self.ending()));
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
            None => {
                format!("`{revoke}` deletes the request, but Amigo cannot revoke this access: it lasts to its end.")
            }
        }
    }

    fn revoke(&self) -> String {
        format!("kubectl amigo revoke {}{}", self.name, self.namespace_option)
    }

    pub fn failure(&self, failure: &WaitFailure) -> Failure {
        let (name, revoke) = (&self.name, self.revoke());
        let status = format!("kubectl amigo status {name}{}", self.namespace_option);
        match failure {
            WaitFailure::Refused(why) => Failure::refused(format!("request {name} was refused: {why}"))
                .advise(format!("for details, run `{status}`; to delete the request, run `{revoke}`")),
            WaitFailure::Stalled(why) => Failure::refused(format!("request {name} cannot be granted: {why}")).advise(format!(
                "the request remains, and is granted if you fix this before its activation deadline; to delete it, run `{revoke}`"
            )),
            WaitFailure::NotProcessed => {
                let waited = FIRST_LOOK.as_secs();
                Failure::failed(format!("amigo-operator has not processed request {name} within {waited} seconds"))
                    .with_exit(Exit::Pending)
                    .advise(format!(
                        "the request remains, and is granted when the operator runs: check `kubectl -n {} get pods`; to delete it, run `{revoke}`",
                        self.operator_namespace
                    ))
            }
            WaitFailure::TimedOut(why) => Failure::failed(format!("timed out waiting for request {name}: {why}"))
                .with_exit(Exit::TimedOut)
                .advise(format!("the request remains; to follow it, run `{status}`; to delete it, run `{revoke}`")),
            WaitFailure::Expired => Failure::failed(format!("request {name} has expired")),
            WaitFailure::Deleted => Failure::failed(format!("request {name} was deleted during the wait"))
                .advise("access issued before may continue; check the audit log of the operator"),
            WaitFailure::Unreadable(why) => Failure::failed(format!("request {name} was created, but you may not read it: {why}"))
                .with_exit(Exit::Pending)
                .advise(format!(
                    "ask a cluster administrator for the verbs get, list and watch on temporarypermissiongrants in \
                     namespace {}, or use --no-wait",
                    self.namespace
                )),
            WaitFailure::Interrupted => Failure::failed(format!("interrupted; request {name} remains"))
                .with_exit(Exit::Interrupted)
                .advise(format!("to follow it, run `{status}`; to delete it, run `{revoke}`")),
        }
    }
}

/// Prints the Kubernetes object; by its name unless the format is JSON or YAML.
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
