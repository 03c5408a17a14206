//! What can be said of a request before it is sent: a clear refusal beats a wait.

use amigo_api::{
    Organization,
    conditions::{self, ConditionStatus},
    console, duration,
    reasons::condition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

use super::{arguments::Arguments, values::Conversation};
use crate::Failure;

/// What to warn of, for an Organization that can be asked.
///
/// # Errors
/// When it cannot: the page is not of its console, it does not admit the namespace, or it cannot be used.
pub fn usable(arguments: &Arguments, organization: &Organization, namespace: &str) -> Result<Vec<String>, Failure> {
    page(&arguments.conversation, organization)?;
    let (name, spec) = (organization.name_any(), &organization.spec);
    if !spec.admits(namespace) {
        return Err(Failure::refused(format!("Organization {name} does not admit namespace {namespace}")).advise(
            "choose another namespace with -n, or ask whoever runs amigo-operator to add it to spec.allowedNamespaces",
        ));
    }
    if spec.suspend {
        return Err(Failure::refused(format!("Organization {name} is suspended; nothing is issued"))
            .advise("ask whoever runs amigo-operator when it goes on"));
    }
    Ok([readiness(organization)?, cut(arguments, organization)].into_iter().flatten().collect())
}

fn page(conversation: &Conversation, organization: &Organization) -> Result<(), Failure> {
    let Conversation::Page { url, .. } = conversation else { return Ok(()) };
    if organization.spec.has_page(url) {
        return Ok(());
    }
    let (name, console) = (organization.name_any(), organization.spec.console());
    let hosts = [url, &console].map(|url| console::host(url).unwrap_or_default());
    Err(Failure::usage(format!(
        "the conversation's page is on {}, and the console of Organization {name} is on {}",
        hosts[0], hosts[1]
    ))
    .advise("leave out --env and the host decides, or name the Organization that the page belongs to"))
}

/// Lasting trouble is refused, passing trouble is warned of: a request waits for it to end.
fn readiness(organization: &Organization) -> Result<Option<String>, Failure> {
    let name = organization.name_any();
    let conditions = organization.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let current = |kind| {
        conditions::find(conditions, kind).filter(|found| found.observed_generation == organization.metadata.generation)
    };
    let is =
        |found: Option<&Condition>, standing: ConditionStatus| found.is_some_and(|one| one.status == standing.as_str());
    let Some(ready) = current(condition::READY) else {
        return Ok(Some(format!("amigo-operator has not looked at Organization {name} yet")));
    };
    if is(Some(ready), ConditionStatus::True) {
        return Ok(None);
    }
    let told = format!("Organization {name} is not ready: {} ({})", ready.message, ready.reason);
    if is(current(condition::STALLED), ConditionStatus::True) {
        return Err(Failure::refused(told).advise(format!(
            "ask whoever runs amigo-operator; `kubectl describe organization {name}` shows all of it"
        )));
    }
    Ok(Some(told))
}

fn cut(arguments: &Arguments, organization: &Organization) -> Option<String> {
    let most = organization.spec.grants.as_ref()?.max_duration.as_deref()?;
    let asked = arguments.duration.as_deref()?;
    let longer = duration::parse(asked).ok()? > duration::parse(most).ok()?;
    longer.then(|| format!("Organization {} grants {most} at most: {asked} is cut to it", organization.name_any()))
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
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(conversation: &str, options: &[&str]) -> Arguments {
        let line = [&["x", conversation, "-j", "Debugging reported issue #42"], options].concat();
        Line::try_parse_from(line).unwrap().arguments
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
    fn a_ready_organization_is_asked_without_a_word() {
        assert_eq!(usable(&arguments(ID, &[]), &ready(), "support"), Ok(vec![]));
    }

    #[test]
    fn a_page_elsewhere_is_refused_with_both_hosts() {
        let page = arguments(&format!("https://other.amigo.ai/admin/conversation/{ID}"), &[]);
        let refusal = usable(&page, &ready(), "support").unwrap_err();
        assert_eq!(refusal.exit, Exit::Usage);
        assert!(refusal.message.contains("on other.amigo.ai") && refusal.message.ends_with("on acme.amigo.ai"));
    }

    #[test]
    fn a_namespace_that_is_not_admitted_is_refused() {
        let refusal = usable(&arguments(ID, &[]), &ready(), "sales").unwrap_err();
        assert_eq!(refusal.exit, Exit::Refused);
        assert!(refusal.to_string().contains("does not admit namespace sales"), "{refusal}");
    }

    #[test]
    fn a_suspended_organization_is_not_asked() {
        let mut suspended = ready();
        suspended.spec.suspend = true;
        assert_eq!(usable(&arguments(ID, &[]), &suspended, "support").unwrap_err().exit, Exit::Refused);
    }

    #[test]
    fn lasting_trouble_is_refused_and_passing_trouble_warned_of() {
        let trouble = |stalled| organization(Some((ConditionStatus::False, reasons::UNREACHABLE)), stalled);
        let refusal = usable(&arguments(ID, &[]), &trouble(true), "support").unwrap_err();
        assert_eq!(refusal.exit, Exit::Refused);
        let warnings = usable(&arguments(ID, &[]), &trouble(false), "support").unwrap();
        assert_eq!(warnings, ["Organization production is not ready: why (Unreachable)"]);
    }

    #[test]
    fn what_was_said_of_an_older_spec_does_not_count() {
        let mut changed = organization(Some((ConditionStatus::False, reasons::SECRET_NOT_FOUND)), true);
        changed.metadata.generation = Some(4);
        let warnings = usable(&arguments(ID, &[]), &changed, "support").unwrap();
        assert_eq!(warnings, ["amigo-operator has not looked at Organization production yet"]);
    }

    #[test]
    fn a_longer_request_than_granted_is_warned_of() {
        let mut short = ready();
        short.spec.grants = Some(GrantRules { max_duration: Some("PT1H".to_owned()), ..GrantRules::default() });
        assert_eq!(usable(&arguments(ID, &["-d", "PT60M"]), &short, "support"), Ok(vec![]));
        let warnings = usable(&arguments(ID, &["-d", "PT4H"]), &short, "support").unwrap();
        assert_eq!(warnings, ["Organization production grants PT1H at most: PT4H is cut to it"]);
    }
}
