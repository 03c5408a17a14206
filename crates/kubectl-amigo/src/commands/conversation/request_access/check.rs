//! Checks before a request is created: a refusal is better than a wait.

use amigo_api::{
    Organization,
    conditions::{self, ConditionStatus},
    console, duration,
    reasons::condition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

use super::{args::RequestAccessArgs, values::Conversation};
use crate::Failure;

/// Checks that the Organization can serve the request, and returns warnings.
///
/// # Errors
/// When the page belongs to another console, or the Organization does not allow the namespace or cannot be used.
pub fn check(args: &RequestAccessArgs, organization: &Organization, namespace: &str) -> Result<Vec<String>, Failure> {
    page(&args.conversation, organization)?;
    let (name, spec) = (organization.name_any(), &organization.spec);
    if !spec.admits(namespace) {
        return Err(Failure::refused(format!("Organization {name} does not allow namespace {namespace}")).advise(
            "select another namespace with -n, or ask the administrator of amigo-operator to add it to spec.allowedNamespaces",
        ));
    }
    if spec.suspend {
        return Err(Failure::refused(format!("Organization {name} is suspended: amigo-operator issues no access"))
            .advise("ask the administrator of amigo-operator when it resumes"));
    }
    Ok([readiness(organization)?, reduced(args, organization)].into_iter().flatten().collect())
}

fn page(conversation: &Conversation, organization: &Organization) -> Result<(), Failure> {
    let Conversation::Page { url, .. } = conversation else { return Ok(()) };
    if organization.spec.has_page(url) {
        return Ok(());
    }
    let (name, console) = (organization.name_any(), organization.spec.console());
    let hosts = [url, &console].map(|url| console::host(url).unwrap_or_default());
    Err(Failure::usage(format!(
        "the conversation page is on {}, but the console of Organization {name} is on {}",
        hosts[0], hosts[1]
    ))
    .advise("omit --organization, or name the Organization of the page"))
}

/// Refuses when the Organization is stalled; warns when it is not ready, since the request waits.
fn readiness(organization: &Organization) -> Result<Option<String>, Failure> {
    let name = organization.name_any();
    let conditions = organization.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let current = |kind| {
        conditions::find(conditions, kind).filter(|found| found.observed_generation == organization.metadata.generation)
    };
    let is =
        |found: Option<&Condition>, status: ConditionStatus| found.is_some_and(|one| one.status == status.as_str());
    let Some(ready) = current(condition::READY) else {
        return Ok(Some(format!("amigo-operator has not processed Organization {name} yet")));
    };
    if is(Some(ready), ConditionStatus::True) {
        return Ok(None);
    }
    let message = format!("Organization {name} is not ready: {} ({})", ready.message, ready.reason);
    if is(current(condition::STALLED), ConditionStatus::True) {
        return Err(Failure::refused(message).advise(format!(
            "ask the administrator of amigo-operator; for details, run `kubectl amigo status organization/{name}`"
        )));
    }
    Ok(Some(message))
}

fn reduced(args: &RequestAccessArgs, organization: &Organization) -> Option<String> {
    let most = organization.spec.grants.as_ref()?.max_duration.as_deref()?;
    let asked = args.duration.as_deref()?;
    let longer = duration::parse(asked).ok()? > duration::parse(most).ok()?;
    longer.then(|| {
        format!(
            "Organization {} grants at most {most}: the requested {asked} is reduced to it",
            organization.name_any()
        )
    })
}

#[cfg(test)]
mod tests {
    use amigo_api::{
        GrantRules, OrganizationSpec, OrganizationStatus,
        conditions::{Change, Stamp},
        reasons,
    };
    use clap::Parser;
    use jiff::Timestamp;

    use super::*;
    use crate::Exit;

    const ID: &str = "abc123def456abc123def456";

    #[derive(Parser)]
    struct TestCommand {
        #[command(flatten)]
        args: RequestAccessArgs,
    }

    fn arguments(conversation: &str, options: &[&str]) -> RequestAccessArgs {
        let line = [&["x", conversation, "-j", "Debugging reported issue #42"], options].concat();
        TestCommand::try_parse_from(line).unwrap().args
    }

    fn organization(ready: Option<(ConditionStatus, &'static str)>, stalled: bool) -> Organization {
        let spec = OrganizationSpec {
            organization: "acme".to_owned(),
            allowed_namespaces: vec!["support".to_owned()],
            ..OrganizationSpec::default()
        };
        let mut organization = Organization::new("production", spec);
        organization.metadata.generation = Some(3);
        let mut status = OrganizationStatus::default();
        let stamp = Stamp { generation: 3, now: Timestamp::UNIX_EPOCH };
        if let Some((is_ready, reason)) = ready {
            let mut set = |type_, status_of_type, reason| {
                let change = Change { type_, status: status_of_type, reason, message: "why".to_owned() };
                conditions::set(&mut status.conditions, change, stamp);
            };
            set(condition::READY, is_ready, reason);
            if stalled {
                set(condition::STALLED, ConditionStatus::True, reason);
            }
        }
        organization.status = Some(status);
        organization
    }

    fn ready() -> Organization {
        organization(Some((ConditionStatus::True, reasons::READY)), false)
    }

    #[test]
    fn ready_organization_passes_without_warnings() {
        assert_eq!(check(&arguments(ID, &[]), &ready(), "support"), Ok(vec![]));
    }

    #[test]
    fn page_of_another_console_is_refused() {
        let page = arguments(&format!("https://other.amigo.ai/admin/conversation/{ID}"), &[]);
        let refusal = check(&page, &ready(), "support").unwrap_err();
        assert_eq!(refusal.exit, Exit::Usage);
        assert!(refusal.message.contains("on other.amigo.ai") && refusal.message.ends_with("on acme.amigo.ai"));
    }

    #[test]
    fn disallowed_namespace_is_refused() {
        let refusal = check(&arguments(ID, &[]), &ready(), "sales").unwrap_err();
        assert_eq!(refusal.exit, Exit::Refused);
        assert!(refusal.to_string().contains("does not allow namespace sales"), "{refusal}");
    }

    #[test]
    fn suspended_organization_is_refused() {
        let mut suspended = ready();
        suspended.spec.suspend = true;
        assert_eq!(check(&arguments(ID, &[]), &suspended, "support").unwrap_err().exit, Exit::Refused);
    }

    #[test]
    fn stalled_is_refused_and_not_ready_warned_about() {
        let trouble = |stalled| organization(Some((ConditionStatus::False, reasons::UNREACHABLE)), stalled);
        let refusal = check(&arguments(ID, &[]), &trouble(true), "support").unwrap_err();
        assert_eq!(refusal.exit, Exit::Refused);
        let warnings = check(&arguments(ID, &[]), &trouble(false), "support").unwrap();
        assert_eq!(warnings, ["Organization production is not ready: why (Unreachable)"]);
    }

    #[test]
    fn conditions_of_an_older_spec_are_ignored() {
        let mut changed = organization(Some((ConditionStatus::False, reasons::SECRET_NOT_FOUND)), true);
        changed.metadata.generation = Some(4);
        let warnings = check(&arguments(ID, &[]), &changed, "support").unwrap();
        assert_eq!(warnings, ["amigo-operator has not processed Organization production yet"]);
    }

    #[test]
    fn longer_duration_than_allowed_is_warned_about() {
        let mut short = ready();
        short.spec.grants = Some(GrantRules { max_duration: Some("PT1H".to_owned()), ..GrantRules::default() });
        assert_eq!(check(&arguments(ID, &["-d", "PT60M"]), &short, "support"), Ok(vec![]));
        let warnings = check(&arguments(ID, &["-d", "PT4H"]), &short, "support").unwrap();
        assert_eq!(warnings, ["Organization production grants at most PT1H: the requested PT4H is reduced to it"]);
    }
}
