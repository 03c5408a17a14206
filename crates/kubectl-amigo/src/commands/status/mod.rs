//! `kubectl amigo status`.

mod events;
mod facts;
mod other_kinds;
mod report;
mod text;

use amigo_api::{Kind, Organization};
use clap::Args;

use self::{
    events::add_events,
    facts::Read,
    report::{StatusReport, request_report},
};
use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    output::{self, OutputFormat, OutputOptions, formats},
    requests::{self, kind_and_name},
};

const FORMATS: &[OutputFormat] = &[OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name];

/// Show the status of a request: user, reason, permissions, failures and remedies
///
/// With TYPE/NAME, shows the status of an organization, role or roleassignment.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(FORMATS)))]
#[command(after_help = "Examples:
  # Show the status of a request
  kubectl amigo status eng-abc123

  # Show the status of a request in another namespace as JSON
  kubectl amigo status eng-abc123 -n team-a -o json

  # Show the status of an Organization and a Role
  kubectl amigo status organization/production
  kubectl amigo status role/conversation-reviewer

Permissions: get on the object; list on events and get on organizations are optional.
Exit codes: 0 shown, 1 object not found, 2 usage error, 3 forbidden.")]
pub struct StatusArgs {
    /// Request name, or TYPE/NAME
    name: String,
    #[command(flatten)]
    output: OutputOptions,
}

pub async fn run(args: StatusArgs, session: &mut Session) -> Result<Exit, Failure> {
    let (kind, name) = kind_and_name(&args.name)?;
    let kubernetes = session.kubernetes().await?;
    let report = match kind {
        Kind::TemporaryPermissionGrant => request(&kubernetes, name, session).await?,
        kind => other_kinds::report(kind, &kubernetes, name, session).await?,
    };
    let format = args.output.format();
    let text = |report: &StatusReport| match format {
        OutputFormat::Name => format!("{}\n", report.object),
        _ => text::render(report, session.clock.now()),
    };
    let text = output::render(&report, format, text)?;
    session.console.data(&text)?;
    Ok(Exit::Granted)
}

async fn request(kubernetes: &Kubernetes, name: &str, session: &mut Session) -> Result<StatusReport, Failure> {
    let object = match requests::request(kubernetes, name).await?.0 {
        Ok(object) => object,
        Err(unreadable) => return Ok(other_kinds::unreadable_request(unreadable, kubernetes, session).await),
    };
    let organization = organization(kubernetes, &object.spec.organization_ref.name).await;
    let mut report = request_report(&object, &organization, &session.options.operator_namespace, session.clock.now());
    add_events(&mut report, &object, kubernetes, session).await;
    Ok(report)
}

/// The Organization of the request; an error is part of the report.
async fn organization(kubernetes: &Kubernetes, name: &str) -> Read<Organization> {
    match kubernetes.find(&kubernetes.all_organizations(), name, &format!("read Organization {name}")).await {
        Ok(Some(organization)) => Read::Present(organization),
        Ok(None) => Read::Missing,
        Err(failure) => Read::Unreadable(failure.message),
    }
}

#[cfg(test)]
mod tests;
