//! `kubectl amigo resync`.

use std::time::Duration;

use amigo_api::{Kind, Organization, Role, RoleAssignment, annotations::RESYNC, conditions::ConditionStatus};
use clap::Args;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    options::wait_option,
    output::{self, OutputFormat, OutputOptions, formats},
    requests::kind_and_name,
};

/// How often the command reads the object while it waits.
const POLL: Duration = Duration::from_millis(250);

/// Compare an object with Amigo now, and correct differences
///
/// The operator compares Organizations, Roles and RoleAssignments with Amigo every ten minutes by default. This command
/// sets the annotation permissions.amigo.ai/resync, so that the operator does it at once.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])))]
#[command(after_help = "Examples:
  # Compare a Role with Amigo, and wait for the result
  kubectl amigo resync role/conversation-reviewer --wait

  # List the roles of an organization again, and sweep its grants
  kubectl amigo resync organization/production

Permissions: get and patch on the object.
Exit codes: 0 set (with --wait: the object is Ready), 1 object not found or not Ready, 2 usage error, 3 forbidden, 124 not handled within --timeout.")]
pub struct ResyncArgs {
    /// organization/NAME, role/NAME or roleassignment/NAME
    object: String,
    /// Wait until the operator has compared the object with Amigo, and show its Ready condition
    #[arg(long)]
    wait: bool,
    /// Maximum time to wait
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = wait_option)]
    timeout: Duration,
    #[command(flatten)]
    output: OutputOptions,
}

pub async fn run(args: ResyncArgs, session: &mut Session) -> Result<Exit, Failure> {
    let (kind, name) = kind_and_name(&args.object)?;
    let kubernetes = session.kubernetes().await?;
    let api = api_of(kind, &kubernetes)?;
    let value = session.clock.now().to_string();
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { RESYNC: value } } }));
    let asked = api.patch(name, &PatchParams::default(), &patch).await;
    let mut object = asked.map_err(|error| Failure::from_kube(&format!("annotate {}", args.object), &error))?;
    session.report_warnings();
    let handled = if args.wait { wait(&api, name, &value, args.timeout, session).await? } else { None };
    let is_handled = handled.is_some();
    object = handled.unwrap_or(object);
    let resync = ResyncResult::new(kind, name, value, &object);
    let text = |resync: &ResyncResult| resync.to_text(is_handled, args.output.format());
    let text = output::render(&resync, args.output.format(), text)?;
    session.console.data(&text)?;
    Ok(match (args.wait, is_handled, resync.ready.as_deref()) {
        (false, ..) | (true, true, Some("True")) => Exit::Granted,
        (true, true, _) => Exit::Failed,
        (true, false, _) => Exit::TimedOut,
    })
}

/// Objects of a kind that the operator compares with Amigo.
fn api_of(kind: Kind, kubernetes: &Kubernetes) -> Result<Api<DynamicObject>, Failure> {
    let (client, namespace) = (kubernetes.client.clone(), &kubernetes.namespace);
    match kind {
        Kind::Organization => Ok(Api::all_with(client, &ApiResource::erase::<Organization>(&()))),
        Kind::Role => Ok(Api::namespaced_with(client, namespace, &ApiResource::erase::<Role>(&()))),
        Kind::RoleAssignment => Ok(Api::namespaced_with(client, namespace, &ApiResource::erase::<RoleAssignment>(&()))),
        Kind::TemporaryPermissionGrant => Err(Failure::usage("the operator compares no requests with Amigo on demand")
            .advise("use organization/NAME, role/NAME or roleassignment/NAME")),
    }
}

/// The object once its status acknowledges the value; `None` if the time is over before.
async fn wait(
    api: &Api<DynamicObject>,
    name: &str,
    value: &str,
    timeout: Duration,
    session: &mut Session,
) -> Result<Option<DynamicObject>, Failure> {
    let began = session.clock.boot();
    while session.clock.boot().saturating_sub(began) < timeout {
        let read = api.get(name).await;
        let object = read.map_err(|error| Failure::from_kube(&format!("read {name}"), &error))?;
        if object.data.pointer("/status/lastHandledResync").and_then(Value::as_str) == Some(value) {
            return Ok(Some(object));
        }
        session.console.progress("the operator has not handled the annotation yet");
        tokio::time::sleep(POLL).await;
    }
    Ok(None)
}

/// The result as `-o json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ResyncResult {
    object: String,
    resync: String,
    /// The status of the Ready condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl ResyncResult {
    fn new(kind: Kind, name: &str, resync: String, object: &DynamicObject) -> Self {
        let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
        let member = |member: &str| ready.and_then(|ready| ready[member].as_str()).map(str::to_owned);
        Self {
            object: format!("{}.{}/{name}", kind.as_str().to_ascii_lowercase(), amigo_api::GROUP),
            resync,
            ready: member("status"),
            reason: member("reason"),
            message: member("message"),
        }
    }

    fn to_text(&self, is_handled: bool, format: OutputFormat) -> String {
        let object = &self.object;
        if format == OutputFormat::Name {
            return format!("{object}\n");
        }
        let Self { ready, reason, message, .. } = self;
        match (is_handled, ready.as_deref()) {
            (false, _) => format!("{object} annotated\n"),
            (true, Some(status)) if status == ConditionStatus::True.as_str() => {
                format!("{object} compared: {}\n", message.as_deref().unwrap_or_default())
            }
            (true, _) => {
                let (reason, message) =
                    (reason.as_deref().unwrap_or("Pending"), message.as_deref().unwrap_or_default());
                format!("{object} compared, but it is not ready: {reason}: {message}\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(conditions: &Value, is_handled: bool) -> String {
        let object = json!({
            "apiVersion": "permissions.amigo.ai/v1alpha1", "kind": "Role", "metadata": {"name": "triage"},
            "status": {"conditions": conditions},
        });
        let object = serde_json::from_value(object).unwrap();
        ResyncResult::new(Kind::Role, "triage", "now".to_owned(), &object).to_text(is_handled, OutputFormat::Table)
    }

    fn ready(status: &str) -> Value {
        json!([{"type": "Ready", "status": status, "reason": "Drifted", "message": "why"}])
    }

    #[test]
    fn result_is_the_ready_condition() {
        let object = "role.permissions.amigo.ai/triage";
        assert_eq!(shown(&ready("True"), true), format!("{object} compared: why\n"));
        assert_eq!(shown(&ready("False"), true), format!("{object} compared, but it is not ready: Drifted: why\n"));
        assert_eq!(shown(&json!([]), false), format!("{object} annotated\n"));
    }
}
