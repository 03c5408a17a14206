//! `kubectl amigo conversation request-access`.

mod arguments;
mod check;
mod look;
mod manifest;
mod report;
mod values;
mod wait;

use kube::{Api, ResourceExt as _, api::PostParams};

pub use self::arguments::Arguments;
use amigo_api::{Organization, TemporaryPermissionGrant};

use self::{arguments::DryRun, manifest::Wish, report::Report, values::Conversation, wait::Waiting};
use crate::{Exit, Failure, Session, failure::lacks_right, kubernetes::Kubernetes, output::OutputFormat};

/// Runs the command.
///
/// # Errors
/// What the user must know.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    if arguments.dry_run == DryRun::Client {
        return print_manifest(&arguments, &kubernetes, session).await;
    }
    let organization = choose(&arguments, &kubernetes, session).await?;
    for warning in check::usable(&arguments, &organization, &kubernetes.namespace)? {
        session.console.warn(&warning);
    }
    let caller = kubernetes.whoami().await?;
    let email = arguments.user_email.as_deref().map_or_else(|| caller.email(), Ok)?;
    let wish = Wish {
        organization: &organization.name_any(),
        email,
        requested_by: Some(&caller.username),
        namespace: &kubernetes.namespace,
        random: rand::random(),
    };
    let created = create(&manifest::build(&arguments, &wish), &arguments, &kubernetes).await?;
    let report = Report::new(&created, &organization, session);
    if arguments.dry_run == DryRun::Server {
        report::print(&created, shown(&arguments), &mut session.console)?;
        return Ok(Exit::Granted);
    }
    if !arguments.waits() {
        session.console.tell(&report.created());
        report::print(&created, arguments.output.format(), &mut session.console)?;
        return Ok(Exit::Granted);
    }
    let waiting = Waiting { kubernetes: &kubernetes, timeout: arguments.timeout, report: &report };
    match waiting.run(created, session).await {
        (grant, Ok(())) => {
            report.granted(&grant, arguments.output.format(), session)?;
            Ok(Exit::Granted)
        }
        (grant, Err(obstacle)) => {
            report.partial(&grant, arguments.output.format(), &mut session.console)?;
            Err(report.failure(&obstacle))
        }
    }
}

/// Prints what would be created. What the command line names is not asked of the cluster; who asks is the API server's
/// to say when the manifest is applied.
async fn print_manifest(
    arguments: &Arguments,
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> Result<Exit, Failure> {
    let organization = match &arguments.env {
        Some(name) => name.clone(),
        None => choose(arguments, kubernetes, session).await?.name_any(),
    };
    let email = match &arguments.user_email {
        Some(email) => email.clone(),
        None => kubernetes.whoami().await?.email()?.to_owned(),
    };
    let wish = Wish {
        organization: &organization,
        email: &email,
        requested_by: None,
        namespace: &kubernetes.namespace,
        random: rand::random(),
    };
    let grant = manifest::build(arguments, &wish);
    report::print(&grant, shown(arguments), &mut session.console)?;
    Ok(Exit::Granted)
}

/// How a dry run shows the object: it has no grants for a table.
fn shown(arguments: &Arguments) -> OutputFormat {
    arguments.output.chosen().unwrap_or(OutputFormat::Yaml)
}

/// The Organization named, else the one whose console the page belongs to, else the only one there is.
async fn choose(
    arguments: &Arguments,
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> Result<Organization, Failure> {
    match (&arguments.env, &arguments.conversation) {
        (Some(name), _) => kubernetes.organization(name).await,
        (None, Conversation::Page { url, .. }) => kubernetes.organization_of_page(url).await,
        (None, Conversation::Id(_)) => {
            let only = kubernetes.only_organization().await?;
            session.console.tell(&format!(
                "Asking Organization {}, the only one that namespace {} may use.",
                only.name_any(),
                kubernetes.namespace
            ));
            Ok(only)
        }
    }
}

async fn create(
    grant: &TemporaryPermissionGrant,
    arguments: &Arguments,
    kubernetes: &Kubernetes,
) -> Result<TemporaryPermissionGrant, Failure> {
    let api: Api<TemporaryPermissionGrant> = kubernetes.api();
    let parameters = PostParams { dry_run: arguments.dry_run == DryRun::Server, ..PostParams::default() };
    api.create(&parameters, grant).await.map_err(|error| not_created(grant, &kubernetes.namespace, &error))
}

fn not_created(grant: &TemporaryPermissionGrant, namespace: &str, error: &kube::Error) -> Failure {
    let name = grant.name_any();
    let failure = Failure::of_kube(&format!("create request {name} in namespace {namespace}"), error);
    match error {
        kube::Error::Api(status) if lacks_right(status) => failure.advise(format!(
            "ask whoever runs the cluster for a role in namespace {namespace} that may create \
             temporarypermissiongrants.permissions.amigo.ai, or choose another namespace with -n"
        )),
        kube::Error::Api(status) if status.code == 409 => failure.advise("choose another --name, or leave it out"),
        kube::Error::Api(_) => failure,
        // Nobody knows whether the API server got it; a second request would be a second access.
        _ => failure.advise(format!(
            "before you repeat it, see whether it was created all the same: `kubectl -n {namespace} get tpg {name}`"
        )),
    }
}
