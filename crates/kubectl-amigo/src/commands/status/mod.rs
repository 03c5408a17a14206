//! `kubectl amigo explain`.

mod others;
mod page;
mod story;

use amigo_api::{Organization, TemporaryPermissionGrant};
use clap::Args;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, Resource, ResourceExt as _, api::ListParams};

use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    output::{self, OutputFormat, OutputOptions, formats},
};
pub use others::request_name;
use story::{Read, Story, happened, of_request};

/// Tell the whole story of one request: who, why, each permission, what failed and what to do
///
/// Tells the same, shorter, of an organization, role or roleassignment: TYPE/NAME.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])))]
#[command(after_help = "Examples:
  kubectl amigo explain eng-abc123
  kubectl amigo explain eng-abc123 -n team-a -o json
  kubectl amigo explain organization/production
  kubectl amigo explain role/conversation-reviewer

Needs: get on the object; list on events and get on organizations, else it says what it could not read.
Exit codes: 0 told, 1 no such object, 3 not permitted.")]
pub struct Arguments {
    /// The name of the request, or TYPE/NAME.
    name: String,
    #[command(flatten)]
    output: OutputOptions,
}

/// Runs the command.
///
/// # Errors
/// What the user must know.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    let story = match others::Kind::of(&arguments.name)? {
        (others::Kind::Request, name) => request(&kubernetes, name, session).await?,
        (kind, name) => others::story(kind, &kubernetes, name, session).await?,
    };
    let format = arguments.output.format();
    let text = |story: &Story| match format {
        OutputFormat::Name => format!("{}\n", story.object),
        _ => page::page(story, session.clock.now()),
    };
    let text = output::render(&story, format, text)?;
    session.console.data(&text)?;
    Ok(Exit::Granted)
}

async fn request(kubernetes: &Kubernetes, name: &str, session: &mut Session) -> Result<Story, Failure> {
    let object: TemporaryPermissionGrant = kubernetes.request(name).await?;
    let organization = organization(kubernetes, &object.spec.organization_ref.name).await;
    let now = session.clock.now();
    let mut story = of_request(&object, &organization, &session.options.operator_namespace, now);
    add_events(&mut story, &object, kubernetes, session).await;
    Ok(story)
}

/// What the request rests on; that it cannot be read is part of the story.
async fn organization(kubernetes: &Kubernetes, name: &str) -> Read<Organization> {
    match Api::<Organization>::all(kubernetes.client.clone()).get_opt(name).await {
        Ok(Some(organization)) => Read::Here(organization),
        Ok(None) => Read::Missing,
        Err(error) => Read::Unreadable(Failure::of_kube(&format!("read Organization {name}"), &error).message),
    }
}

/// Events are kept for an hour, and not everybody may read them.
async fn add_events<K>(story: &mut Story, object: &K, kubernetes: &Kubernetes, session: &mut Session)
where
    K: Resource,
{
    let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
    let events: Api<Event> = Api::namespaced(kubernetes.client.clone(), &namespace);
    let about = format!("involvedObject.uid={}", object.uid().unwrap_or_default());
    match events.list(&ListParams::default().fields(&about)).await {
        Ok(list) => story.events = happened(list.items),
        Err(error) => {
            let failure = Failure::of_kube(&format!("list Events in namespace {namespace}"), &error);
            session.console.warn(&format!("told without Events: {}", failure.message));
        }
    }
}
