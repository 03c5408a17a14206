//! All four controllers, from the first watch to the last drained pass.
//!
//! # Expected flow
//! The watches fill the stores, the controllers work until the token is cancelled, passes under way end (within one
//! call deadline, or they are cut off), [`run`] returns, whether or not the stores were ever filled. It is called once, by the replica that leads.
//!
//! # Guarantees
//! Outcomes are logged, counted and told in one place, here.
//!
//! # Assumptions
//! The CRDs are installed; until they are, readiness says what is missing.
//!
//! # Caveats
//! What is remembered of grants goes with the run: a replica that lost the lead must start anew.
//!
//! # Errors
//! Only those of the beginning; later ones are told and tried again.

use std::{
    fmt::Debug,
    future::Future,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use amigo_api::{Role, RoleAssignment};
use amigo_client::{Endpoint, Error, Observe, Transport};
use amigo_lifecycle::grant::{FINAL_REASONS, compact_uid};
use amigo_runtime::clock::SharedClock;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    runtime::{
        Controller, controller,
        controller::Action,
        events::{Recorder, Reporter},
        reflector::Store,
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{
    audit::Audit,
    connection::ConnectionRegistry,
    context::{Context, ReconcileError, SharedContext, Stores},
    events, jitter,
    lookup_limiter::LookupLimiter,
    organization::{self, SecretWatches},
    ownership::object_name,
    role, role_assignment,
    settings::Settings,
    temporary_grant::{self, LocalState},
    triggers::Trigger,
    watch::{self, Filled},
};
use crate::telemetry::{
    Health, Metrics,
    health::ReadyFlag,
    labels::{Kind, Outcome},
    metrics::ApiRequest,
};

/// What [`run`] works with.
pub struct Environment {
    /// For watches.
    pub client: Client,
    /// For reads, writes and Events: see [`amigo_runtime::kubernetes::client_no_retry`].
    pub client_no_retry: Client,
    /// Time.
    pub clock: SharedClock,
    /// The HTTP connections to Amigo.
    pub transport: Transport,
    /// What the operator was told.
    pub settings: Settings,
    /// Where audit lines go.
    pub audit: Audit,
    /// Counters.
    pub metrics: Metrics,
    /// Probes.
    pub health: Health,
}

/// Why the controllers cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The cluster's identity cannot be read.
    #[error("cannot read namespace kube-system, whose uid is the cluster's identity in tags: {0}")]
    Cluster(Box<kube::Error>),
}

/// Runs all controllers until `stop` is cancelled and their passes have ended.
///
/// # Errors
/// [`RunError`], at the beginning.
pub async fn run(environment: Environment, stop: CancellationToken) -> Result<(), RunError> {
    let Environment { client, client_no_retry, clock, transport, settings, audit, metrics, health } = environment;
    let cluster = cluster_identity(&client_no_retry).await?;
    let local_state = Arc::new(LocalState::default());
    let gone = Gone::default();
    let (organizations, organizations_filled, organization_stream) =
        watch::objects(client.clone(), gone.then(organization::gone));
    let (roles, roles_filled, role_stream) =
        watch::objects(client.clone(), gone.then(|_: &Role, context| context.triggers.roles.pull()));
    let (assignments, assignments_filled, assignment_stream) =
        watch::objects(client.clone(), gone.then(|_: &RoleAssignment, context| context.triggers.assignments.pull()));
    let (forget, remembered) = (Arc::clone(&local_state), Arc::clone(&local_state));
    let (grants, grants_filled, grant_stream) =
        watch::objects(client.clone(), gone.then(move |grant, context| temporary_grant::gone(grant, &forget, context)));
    let reporter = Reporter { controller: "amigo-operator".into(), instance: Some(settings.identity.clone()) };
    let (announcer, publisher) = events::channel(Recorder::new(client_no_retry.clone(), reporter), metrics.clone());
    let ended = CancellationToken::new();
    let publishing = tokio::spawn(publisher.publish(ended.clone()));
    let context = Arc::new(Context {
        announcer,
        lookup_limiter: LookupLimiter::of(settings.concurrency),
        connections: ConnectionRegistry::new(transport, clock.clone(), Arc::new(Observer(metrics.clone()))),
        stores: Stores { organizations, roles, assignments, grants },
        organizations_filled: organizations_filled.clone(),
        roles_filled: roles_filled.clone(),
        grants_filled: grants_filled.clone(),
        triggers: Arc::default(),
        client,
        client_no_retry,
        clock,
        metrics,
        settings,
        cluster,
        audit,
        stop: stop.clone(),
    });
    gone.set(&context);
    let changing: Vec<_> =
        Endpoint::ALL.into_iter().filter(|endpoint| changes(*endpoint)).map(Endpoint::as_str).collect();
    context.metrics.start_at_zero(&changing, &FINAL_REASONS);
    context.metrics.collect_from(Arc::<Context>::downgrade(&context));
    let filled = [organizations_filled, roles_filled, assignments_filled, grants_filled];
    let desk = Desk { context: &context };
    let stores = context.stores.clone();
    let triggers = &context.triggers;
    // Boxed: the four together would be a large future for whoever awaits this one.
    let organizations = desk.control(
        (organization_stream, stores.organizations),
        &triggers.organizations,
        Kind::Organization,
        organization::reconcile,
    );
    let roles = desk.control((role_stream, stores.roles), &triggers.roles, Kind::Role, role::reconcile);
    let assignments = desk.control(
        (assignment_stream, stores.assignments),
        &triggers.assignments,
        Kind::RoleAssignment,
        role_assignment::reconcile,
    );
    let grants = desk.control(
        (grant_stream, stores.grants),
        &triggers.grants,
        Kind::TemporaryPermissionGrant,
        move |grant, context| temporary_grant::reconcile(grant, context, Arc::clone(&local_state)),
    );
    tokio::join!(
        Box::pin(organizations),
        Box::pin(roles),
        Box::pin(assignments),
        Box::pin(grants),
        stop.run_until_cancelled(tell_readiness(&filled, &health)),
        stop.run_until_cancelled(housekeeping(&context, &remembered, &health)),
    );
    ended.cancel();
    if let Err(error) = publishing.await {
        tracing::error!(%error, "the publisher of Events ended badly");
    }
    Ok(())
}

async fn cluster_identity(client: &Client) -> Result<String, RunError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = namespaces.get("kube-system").await.map_err(|error| RunError::Cluster(Box::new(error)))?;
    Ok(compact_uid(&namespace.uid().unwrap_or_default()))
}

/// What one controller needs besides its kind.
struct Desk<'a> {
    context: &'a SharedContext,
}

impl Desk<'_> {
    /// Runs one controller and tells how each of its passes ended.
    async fn control<K, S, R, F>(&self, (stream, store): (S, Store<K>), trigger: &Trigger, kind: Kind, reconcile: R)
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        S: Stream<Item = Result<K, watcher::Error>> + Send + 'static,
        R: Fn(Arc<K>, SharedContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<(Action, Outcome), ReconcileError>> + Send + 'static,
    {
        let settings = &self.context.settings;
        let config = controller::Config::default().concurrency(settings.concurrency);
        let pass = move |object: Arc<K>, context: SharedContext| {
            let name = object_name(&*object);
            with_deadline((kind, name), reconcile(object, Arc::clone(&context)), context)
        };
        let controller = Controller::for_stream(stream, store)
            .with_config(config)
            .reconcile_all_on(trigger.pulls())
            .graceful_shutdown_on(self.context.stop.clone().cancelled_owned())
            .run(pass, error_policy, Arc::clone(self.context))
            .for_each(|ended| async move {
                match ended {
                    Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
                    // The cache was behind: the next pass, a moment later, sees what there is.
                    Err(controller::Error::ReconcilerFailed(error, _)) if error.is_conflict() => {
                        tracing::debug!(kind = kind.as_str(), %error, "a pass met another write and is repeated");
                    }
                    Err(error) => tracing::warn!(kind = kind.as_str(), %error, "a pass failed and is repeated"),
                }
            });
        tokio::select! {
            () = controller => {}
            () = self.overtime() => tracing::debug!(kind = kind.as_str(), "the controller is not waited for any longer"),
        }
    }

    /// Ends when a stop must not take any longer: a controller whose first list never came does not end by itself.
    async fn overtime(&self) {
        self.context.stop.cancelled().await;
        tokio::time::sleep(self.context.settings.call_deadline + DRAINED).await;
    }
}

/// How long a controller may take to end after the last of its passes was cut off.
const DRAINED: Duration = Duration::from_millis(500);

/// No pass takes for ever, and every pass is counted.
async fn with_deadline(
    (kind, name): (Kind, String),
    pass: impl Future<Output = Result<(Action, Outcome), ReconcileError>>,
    context: SharedContext,
) -> Result<Action, ReconcileError> {
    let _under_way = context.metrics.start_reconcile(kind);
    let began = context.clock.boot();
    let deadline = context.settings.reconcile_deadline;
    let grace = async {
        context.stop.cancelled().await;
        tokio::time::sleep(context.settings.call_deadline).await;
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(deadline, pass) => ended.unwrap_or(Err(ReconcileError::TimedOut { name, deadline })),
        // Whatever still waits then may wait for minutes; what it had begun is found by whoever comes next.
        () = grace => Ok((Action::await_change(), Outcome::Waiting)),
    };
    let outcome = match &ended {
        Ok((_, outcome)) => *outcome,
        Err(ReconcileError::TimedOut { .. }) => Outcome::TimedOut,
        Err(error) if error.is_conflict() => Outcome::Waiting,
        Err(_) => Outcome::Failed,
    };
    context.metrics.reconcile_finished(kind, outcome, context.clock.boot().saturating_sub(began));
    ended.map(|(action, _)| action)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is the controller's")]
fn error_policy<K>(_: Arc<K>, error: &ReconcileError, context: SharedContext) -> Action {
    // A conflict is over as soon as the watch has shown the other write.
    let wait = if error.is_conflict() { Duration::from_millis(200) } else { context.settings.tick };
    Action::requeue(jitter(wait))
}

/// What to do about objects that go, for watches that begin before there is a context.
#[derive(Clone, Default)]
struct Gone(Arc<OnceLock<Weak<Context>>>);

impl Gone {
    fn set(&self, context: &SharedContext) {
        // Set once: `run` makes one of these and one context.
        let _ = self.0.set(Arc::downgrade(context));
    }

    fn then<K>(&self, act: impl Fn(&K, &Context) + Send + 'static) -> impl Fn(&K) + Send + 'static {
        let context = Arc::clone(&self.0);
        move |object| {
            if let Some(context) = context.get().and_then(Weak::upgrade) {
                act(object, &context);
            }
        }
    }
}

/// Says which stores are filled.
async fn tell_readiness([organizations, roles, assignments, grants]: &[Filled; 4], health: &Health) {
    tokio::join!(
        tell_filled(organizations, health.ready_flag("organizations")),
        tell_filled(roles, health.ready_flag("roles")),
        tell_filled(assignments, health.ready_flag("roleassignments")),
        tell_filled(grants, health.ready_flag("temporarypermissiongrants")),
    );
}

async fn tell_filled(filled: &Filled, flag: ReadyFlag) {
    if filled.wait().await {
        flag.set(true);
    }
}

/// How often what is remembered of objects that went is looked for.
const PRUNE_INTERVAL: Duration = Duration::from_mins(5);

/// The heartbeat, and the watches of the Secrets that are named now.
async fn housekeeping(context: &SharedContext, local_state: &LocalState, health: &Health) {
    let namespace = context.settings.namespace.clone();
    let secrets = SecretWatches::new(context.client.clone(), namespace, Arc::clone(&context.triggers));
    let mut pruned_at = context.clock.boot();
    loop {
        health.beat();
        secrets.follow(&context.stores.organizations.state());
        organization::prune(context);
        if context.clock.boot().saturating_sub(pruned_at) > PRUNE_INTERVAL {
            pruned_at = context.clock.boot();
            local_state.prune(&context.stores.grants.state());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Whether a lost answer leaves something at Amigo open. Of a sign-in it costs a token that nobody uses.
fn changes(endpoint: Endpoint) -> bool {
    !endpoint.is_read() && endpoint != Endpoint::SignIn
}

/// Passes what the client sees on to the metrics.
struct Observer(Metrics);

impl Observe for Observer {
    fn request(&self, endpoint: Endpoint, ended: Result<u16, &Error>, duration: Duration) {
        let (outcome, status) = match ended {
            Ok(status) => ("ok", Some(status)),
            Err(error) => (error.kind().as_str(), error.status()),
        };
        let outcome_unknown = changes(endpoint) && ended.is_err_and(Error::ambiguous);
        self.0.api_request_finished(ApiRequest {
            operation: endpoint.as_str(),
            outcome,
            status,
            outcome_unknown,
            duration,
        });
    }

    fn rate_limit_wait(&self, endpoint: Endpoint, wait: Duration) {
        self.0.rate_limit_waited(endpoint.as_str(), wait);
    }
}
