//! `kubectl amigo revoke`.

use std::time::Duration;

use amigo_api::{GROUP, Stored, TemporaryPermissionGrant};
use amigo_lifecycle::grant::remaining_access::RemainingAccess;
use clap::Args;
use jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Preconditions},
};
use serde_json::json;

use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    options::wait_option,
    output::{self, OutputFormat, OutputOptions, formats},
    remaining_access::describe,
    requests::{request, request_name},
    table::countdown,
};

/// How often the request may change between read and delete.
const ATTEMPTS: usize = 10;

/// Delete a request for access, and show when the access ends
///
/// Amigo cannot revoke issued grants: access continues to its end, which this command prints. The operator serves a
/// request with revokeWithin in short leases; its access ends with the last lease.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml])))]
#[command(after_help = "Examples:
  # Delete a request
  kubectl amigo revoke eng-abc123

  # Delete a request in another namespace and wait until its access has ended
  kubectl amigo revoke eng-abc123 -n team-a --wait

  # Print the result as JSON
  kubectl amigo revoke eng-abc123 -o json

Permissions: get and delete on temporarypermissiongrants.
Exit codes: 0 deleted (with --wait: access has ended), 1 request not found, 2 usage error, 3 forbidden, 124 access outlasts --timeout.")]
pub struct RevokeArgs {
    /// Request name as list-access shows it, or TYPE/NAME
    name: String,
    /// Wait until the access has ended
    #[arg(long)]
    wait: bool,
    /// Maximum time to wait, such as 10m
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = wait_option)]
    timeout: Option<Duration>,
    #[command(flatten)]
    output: OutputOptions,
}

pub async fn run(args: RevokeArgs, session: &mut Session) -> Result<Exit, Failure> {
    let RevokeArgs { name, wait, timeout, output } = args;
    let name = request_name(&name)?;
    let kubernetes = session.kubernetes().await?;
    let Deleted { remaining_access, text: ending } = delete(&kubernetes, name, session).await?;
    session.report_warnings();
    let document = json!({
        "name": name,
        "namespace": kubernetes.namespace,
        "access": remaining_access.as_str(),
        "accessUntil": remaining_access.ends_at(),
    });
    // In the words of `kubectl delete`.
    let text = |_: &_| format!("temporarypermissiongrant.{GROUP} \"{name}\" deleted\n");
    session.console.data(&output::render(&document, output.format(), text)?)?;
    session.console.report(&ending);
    if wait { until_ended(remaining_access, timeout, session).await } else { Ok(Exit::Granted) }
}

/// What remains after the deletion.
struct Deleted {
    remaining_access: RemainingAccess,
    /// The same, for the user.
    text: String,
}

impl Deleted {
    fn new(stored: &Stored<TemporaryPermissionGrant>, now: Timestamp) -> Self {
        match &stored.0 {
            Ok(object) => {
                let remaining_access = RemainingAccess::from_object(object, now);
                Self { remaining_access, text: describe(remaining_access, now) }
            }
            Err(unreadable) => Self {
                remaining_access: RemainingAccess::Unknown { latest: None },
                text: format!(
                    "The end of the access is unknown, because the request cannot be read: {unreadable}. To list the \
                     grants at Amigo, run `kubectl amigo conversation list-access --all`."
                ),
            },
        }
    }
}

/// Deletes the request in the version that the answer is about.
async fn delete(kubernetes: &Kubernetes, name: &str, session: &Session) -> Result<Deleted, Failure> {
    let api: Api<Stored<TemporaryPermissionGrant>> = kubernetes.api();
    for _ in 0..ATTEMPTS {
        let object = request(kubernetes, name).await?;
        let deleted = Deleted::new(&object, session.clock.now());
        let preconditions = Preconditions { uid: object.uid(), resource_version: object.resource_version() };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match api.delete(name, &parameters).await {
            Ok(_) => return Ok(deleted),
            // The operator wrote in between: the remaining access may differ.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            // Another client deleted it, or it expired.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(Failure::from_kube(&format!("delete request {name}"), &error)),
        }
    }
    Err(Failure::failed(format!("cannot delete request {name}: it changed {ATTEMPTS} times in the meantime"))
        .advise(format!("repeat the command, or run `kubectl delete temporarypermissiongrants {name}`")))
}

async fn until_ended(
    remaining_access: RemainingAccess,
    timeout: Option<Duration>,
    session: &mut Session,
) -> Result<Exit, Failure> {
    let began = session.clock.boot();
    let Some(end) = remaining_access.ends_at() else {
        return match remaining_access {
            RemainingAccess::Unknown { .. } => Err(Failure::failed("cannot wait: the end of the access is unknown")),
            _ => Ok(Exit::Granted),
        };
    };
    while session.clock.now() < end {
        if timeout.is_some_and(|timeout| session.clock.boot().saturating_sub(began) >= timeout) {
            session.console.report(&format!("Access continues for another {}.", countdown(end, session.clock.now())));
            return Ok(Exit::TimedOut);
        }
        session.console.progress(&format!("access ends in {}", countdown(end, session.clock.now())));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    session.console.report("Access has ended.");
    Ok(Exit::Granted)
}
