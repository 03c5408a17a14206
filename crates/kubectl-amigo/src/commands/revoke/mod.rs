//! `kubectl amigo revoke`.

mod remaining_access;

pub use remaining_access::told;

use std::time::Duration;

use amigo_api::{GROUP, TemporaryPermissionGrant};
use amigo_lifecycle::grant::remaining_access::RemainingAccess;
use clap::Args;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Preconditions},
};
use serde_json::json;

use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    output::{self, OutputFormat, OutputOptions, formats},
    table::countdown,
    wait_option,
};

use super::status::request_name;

/// How often the request may change between the reading and the deleting of it.
const ATTEMPTS: usize = 10;

/// Delete a request for access, and say until when access goes on
///
/// The API of Amigo cannot take back what it issued: access goes on to its end, which is printed. A request with
/// revokeWithin is served as short leases, and ends with the last of them.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml])))]
#[command(after_help = "Examples:
  kubectl amigo revoke eng-abc123
  kubectl amigo revoke eng-abc123 -n team-a --wait
  kubectl amigo revoke eng-abc123 --json
  kubectl amigo revoke temporarypermissiongrant/eng-abc123

Needs: get and delete on temporarypermissiongrants.
Exit codes: 0 deleted (with --wait: access is over), 1 no such request, 2 wrong usage, 3 not permitted, 124 access outlasts --timeout.")]
pub struct Arguments {
    /// The name of the request, as `kubectl amigo conversation list-access` shows it, or TYPE/NAME.
    name: String,
    /// Wait until the access is over.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most, such as 10m.
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = wait_option)]
    timeout: Option<Duration>,
    #[command(flatten)]
    output: OutputOptions,
}

/// Runs the command.
///
/// # Errors
/// What the user must know.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let Arguments { name, wait, timeout, output } = arguments;
    let name = request_name(&name)?;
    let kubernetes = session.kubernetes().await?;
    let remaining_access = delete(&kubernetes, name, session).await?;
    session.heed();
    let document = json!({
        "name": name,
        "namespace": kubernetes.namespace,
        "access": remaining_access.as_str(),
        "accessUntil": remaining_access.ends_at(),
    });
    // In the words of `kubectl delete`.
    let text = |_: &_| format!("temporarypermissiongrant.{GROUP} \"{name}\" deleted\n");
    session.console.data(&output::render(&document, output.format(), text)?)?;
    session.console.tell(&told(remaining_access, session.clock.now()));
    if wait { until_over(remaining_access, timeout, session).await } else { Ok(Exit::Granted) }
}

/// Deletes the request in the version that the answer is about.
async fn delete(kubernetes: &Kubernetes, name: &str, session: &Session) -> Result<RemainingAccess, Failure> {
    let api: Api<TemporaryPermissionGrant> = kubernetes.api();
    for _ in 0..ATTEMPTS {
        let object = kubernetes.request(name).await?;
        let remaining_access = RemainingAccess::from_object(&object, session.clock.now());
        let preconditions = Preconditions { uid: object.uid(), resource_version: object.resource_version() };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match api.delete(name, &parameters).await {
            Ok(_) => return Ok(remaining_access),
            // The operator wrote in between: what was read is not what would go.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            // Somebody else deleted it, or its time was over.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(Failure::of_kube(&format!("delete request {name}"), &error)),
        }
    }
    Err(Failure::failed(format!("request {name} changed {ATTEMPTS} times while it was to be deleted"))
        .advise(format!("repeat the command, or `kubectl delete temporarypermissiongrants {name}`")))
}

impl Kubernetes {
    /// A request by its name, in the command's namespace.
    ///
    /// # Errors
    /// When there is none, or it may not be read.
    pub async fn request(&self, name: &str) -> Result<TemporaryPermissionGrant, Failure> {
        let found = self.api::<TemporaryPermissionGrant>().get_opt(name).await;
        found.map_err(|error| Failure::of_kube(&format!("read request {name}"), &error))?.ok_or_else(|| {
            Failure::failed(format!("request {name} does not exist in namespace {}", self.namespace)).advise(
                "a request is deleted when its time is over; `kubectl amigo conversation list-access -A` shows what is live",
            )
        })
    }
}

async fn until_over(
    remaining_access: RemainingAccess,
    timeout: Option<Duration>,
    session: &mut Session,
) -> Result<Exit, Failure> {
    let began = session.clock.boot();
    let Some(end) = remaining_access.ends_at() else {
        return match remaining_access {
            RemainingAccess::Unknown { .. } => Err(Failure::failed("there is no moment to wait for")),
            _ => Ok(Exit::Granted),
        };
    };
    while session.clock.now() < end {
        if timeout.is_some_and(|timeout| session.clock.boot().saturating_sub(began) >= timeout) {
            session.console.tell(&format!("Access goes on for another {}.", countdown(end, session.clock.now())));
            return Ok(Exit::TimedOut);
        }
        session.console.progress(&format!("access ends in {}", countdown(end, session.clock.now())));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    session.console.tell("Access is over.");
    Ok(Exit::Granted)
}
