//! `kubectl amigo conversation request-access`.

mod args;
mod check;
mod insights;
mod manifest;
mod observe;
mod outcome;
mod report;
mod values;
mod wait;

use amigo_api::{Organization, TemporaryPermissionGrant};
use kube::{Api, ResourceExt as _, api::PostParams};

pub use self::args::RequestAccessArgs;
use self::{
    args::DryRun,
    manifest::{RequestSpec, SingleUse},
    report::Report,
    values::Conversation,
    wait::Wait,
};
use crate::{Exit, Failure, Session, failure::is_rbac_denial, kubernetes::Kubernetes, output::OutputFormat};

pub async fn run(args: RequestAccessArgs, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    if args.dry_run == DryRun::Client {
        return print_manifest(&args, &kubernetes, session).await;
    }
    let organization = choose(&args, &kubernetes, session).await?;
    for warning in check::check(&args, &organization, &kubernetes.namespace)? {
        session.console.warn(&warning);
    }
    let caller = kubernetes.whoami().await?;
    let email = args.user.as_deref().map_or_else(|| caller.email(), Ok)?;
    let spec = RequestSpec {
        organization: &organization.name_any(),
        email,
        requested_by: Some(&caller.username),
        namespace: &kubernetes.namespace,
        not_after: args.not_after,
        ttl_after_expiry: args.ttl_after_expiry.clone(),
        random: rand::random(),
    };
    let created = create(&manifest::build(&args, &spec), &args, &kubernetes).await?;
    let report = Report::new(&created, &organization, session);
    if args.dry_run == DryRun::Server {
        report::print(&created, manifest_format(&args), &mut session.console)?;
        return Ok(Exit::Granted);
    }
    if !args.waits() {
        session.console.report(&report.created());
        report::print(&created, args.output.format(), &mut session.console)?;
        return Ok(Exit::Granted);
    }
    let wait = Wait {
        kubernetes: &kubernetes,
        organization: &report.organization,
        timeout: args.timeout,
        announcement: report.created(),
    };
    match wait.run(created, session).await {
        (grant, Ok(())) => {
            report.granted(&grant, args.output.format(), session)?;
            if let Some(hint) = insights::hint(&grant, &kubernetes).await {
                session.console.report(&hint);
            }
            Ok(Exit::Granted)
        }
        (grant, Err(failure)) => {
            report.partial(&grant, args.output.format(), &mut session.console)?;
            Err(report.failure(&failure))
        }
    }
}

/// Prints the manifest. Calls the cluster only for what the command line leaves open; `requestedBy` is set when the
/// manifest is applied.
async fn print_manifest(
    args: &RequestAccessArgs,
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> Result<Exit, Failure> {
    let (organization, rules) = match &args.organization {
        // Without a duration, the end depends on the Organization; not everybody may read it.
        Some(name) if args.not_after.is_none() && args.duration.is_none() => {
            (name.clone(), kubernetes.organization(name).await.ok().and_then(|found| found.spec.grants))
        }
        Some(name) => (name.clone(), None),
        None => {
            let chosen = choose(args, kubernetes, session).await?;
            (chosen.name_any(), chosen.spec.grants)
        }
    };
    let SingleUse { not_after, ttl_after_expiry } = SingleUse::new(args, rules.as_ref(), session.clock.now());
    if args.not_after.is_none() {
        let hint = format!("No access after {not_after} (notAfter). To choose another end, set --not-after.");
        session.console.report(&hint);
    }
    let email = match &args.user {
        Some(email) => email.clone(),
        None => kubernetes.whoami().await?.email()?.to_owned(),
    };
    let spec = RequestSpec {
        organization: &organization,
        email: &email,
        requested_by: None,
        namespace: &kubernetes.namespace,
        not_after: Some(not_after),
        ttl_after_expiry,
        random: rand::random(),
    };
    let grant = manifest::build(args, &spec);
    report::print(&grant, manifest_format(args), &mut session.console)?;
    Ok(Exit::Granted)
}

/// The format of a dry run, which has no grants for a table.
fn manifest_format(args: &RequestAccessArgs) -> OutputFormat {
    args.output.chosen().unwrap_or(OutputFormat::Yaml)
}

/// The named Organization, else the Organization of the console page, else the only one.
async fn choose(
    args: &RequestAccessArgs,
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> Result<Organization, Failure> {
    match (&args.organization, &args.conversation) {
        (Some(name), _) => kubernetes.organization(name).await,
        (None, Conversation::Page { url, .. }) => kubernetes.organization_of_page(url).await,
        (None, Conversation::Id(_)) => {
            let only = kubernetes.only_organization().await?;
            session.console.report(&format!(
                "Using Organization {}, the only one that allows namespace {}.",
                only.name_any(),
                kubernetes.namespace
            ));
            Ok(only)
        }
    }
}

async fn create(
    grant: &TemporaryPermissionGrant,
    args: &RequestAccessArgs,
    kubernetes: &Kubernetes,
) -> Result<TemporaryPermissionGrant, Failure> {
    let api: Api<TemporaryPermissionGrant> = kubernetes.api();
    let parameters = PostParams { dry_run: args.dry_run == DryRun::Server, ..PostParams::default() };
    api.create(&parameters, grant).await.map_err(|error| not_created(grant, &kubernetes.namespace, &error))
}

fn not_created(grant: &TemporaryPermissionGrant, namespace: &str, error: &kube::Error) -> Failure {
    let name = grant.name_any();
    let failure = Failure::from_kube(&format!("create request {name} in namespace {namespace}"), error);
    match error {
        kube::Error::Api(status) if is_rbac_denial(status) => failure.advise(format!(
            "ask a cluster administrator for permission to create temporarypermissiongrants.permissions.amigo.ai in \
             namespace {namespace}, or select another namespace with -n"
        )),
        kube::Error::Api(status) if status.code == 409 => failure.advise("choose another --name, or omit it"),
        kube::Error::Api(_) => failure,
        // The API server may have created it; a second request would grant access twice.
        _ => failure.advise(format!(
            "before you repeat the command, check whether the request exists: `kubectl -n {namespace} get tpg {name}`"
        )),
    }
}
