//! `kubectl amigo conversation list-access`.

mod changes;
mod listing;
mod remote;
mod rows;
mod table;
mod watch;

use clap::Args;
use kube::Api;

use self::{
    listing::{Listing, organization, own_email},
    rows::{Selection, hint},
    table::Shape,
};
use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    output::{self, OutputFormat, OutputOptions, formats},
};

const FORMATS: &[OutputFormat] =
    &[OutputFormat::Table, OutputFormat::Wide, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name];

/// List temporary access
///
/// Lists your own live access in the namespace, one line for each grant. With --all or --show-expired, adds the grants
/// that Amigo lists, if you may read the Secret of the Organization.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
#[command(mut_arg("output", formats(FORMATS)))]
#[command(after_help = "Examples:
  # List your own live access
  kubectl amigo conversation list-access --organization production

  # List the access of all users, including expired access
  kubectl amigo conversation list-access --organization production --all --show-expired

  # Print your own live access as JSON
  kubectl amigo conversation list-access --organization production -o json

  # Follow the access of all users in all namespaces
  kubectl amigo conversation list-access --organization production -A --all --watch

Permissions: list on temporarypermissiongrants (with --watch: and watch); get on organizations. For the grants that
Amigo lists: get on the Organization's Secret in the namespace of amigo-operator.
Exit codes: 0 listed, even if the list is empty, 1 failed, 2 usage error, 3 forbidden.")]
pub struct ListAccessArgs {
    /// Organization name [default: the only Organization]
    #[arg(long, short = 'e', visible_alias = "env", value_name = "NAME")]
    organization: Option<String>,
    /// List the access of all users
    #[arg(long)]
    all: bool,
    /// Include expired access
    #[arg(long)]
    show_expired: bool,
    /// Print changes after the list, until Ctrl-C
    #[arg(long, short)]
    watch: bool,
    /// List the requests of all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    #[command(flatten)]
    output: OutputOptions,
}

pub async fn run(args: ListAccessArgs, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    let listing = resolve(&args, &kubernetes, session).await?;
    if args.watch {
        return watch::run(&listing, &kubernetes, session).await;
    }
    let objects = kubernetes.list(&listing.api, None, "list requests for access").await?;
    let selected = listing.selection.select(&objects);
    if listing.format == OutputFormat::Name {
        let listed = selected.into_iter().filter(|object| listing.selection.lists(object));
        let names: String = listed.map(|object| output::name(object) + "\n").collect();
        session.console.data(&names)?;
        return Ok(Exit::Granted);
    }
    let mut rows = listing.selection.rows(&selected, session.clock.now());
    rows.extend(listing.remote_rows(&kubernetes, (&objects, &rows), session).await);
    listing.print(&mut rows, session)?;
    for hint in selected.iter().copied().filter_map(hint) {
        session.console.report(&hint);
    }
    Ok(Exit::Granted)
}

async fn resolve(args: &ListAccessArgs, kubernetes: &Kubernetes, session: &mut Session) -> Result<Listing, Failure> {
    let &ListAccessArgs { organization: ref name, all, show_expired, watch: _, all_namespaces, output } = args;
    let format = output.format();
    let (name, organization) = organization(name.as_deref(), kubernetes, session).await?;
    let email = if all { None } else { Some(own_email(kubernetes).await?) };
    let remote = all || show_expired;
    Ok(Listing {
        selection: Selection { organization: name, email, expired: show_expired },
        organization,
        remote,
        format,
        shape: Shape { namespace: all_namespaces, source: remote, wide: format == OutputFormat::Wide },
        api: if all_namespaces { Api::all(kubernetes.client.clone()) } else { kubernetes.api() },
        scope: if all_namespaces { "any namespace".to_owned() } else { format!("namespace {}", kubernetes.namespace) },
    })
}
