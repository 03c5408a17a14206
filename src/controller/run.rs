//! The four controllers, from the first watch to the last reconcile.
//!
//! # Expected flow
//! The watches fill the stores. The controllers work until the token is cancelled. Reconciles in progress then finish
//! within one call deadline, or are cut off, and [`run`] returns, even if a store was never filled. The leader calls it
//! once.
//!
//! # Guarantees
//! The outcome of every reconcile is logged and counted here.
//!
//! # Assumptions
//! The CRDs are installed. Otherwise readiness names the missing stores.
//!
//! # Caveats
//! The local state of grants ends with the run. A replica that is no longer the leader must restart.

use std::{
    fmt::Debug,
    future::Future,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use amigo_api::{Role, RoleAssignment, Unreadable};
use amigo_client::{Endpoint, Error, Observe, Start, Transport};
use amigo_lifecycle::grant::{FINAL_REASONS, compact_uid};
use amigo_runtime::clock::SharedClock;
use futures::{StreamExt as _, future::join_all};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{Controller, controller, controller::Action, events::Reporter},
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{
    audit::Audit,
    connection::{ConnectionRegistry, rate_limiters::RateLimiters, throttle::Turns},
    context::{Context, ReconcileError, Reconciled, SharedContext, Stores},
    events::{self, EventEnvironment},
    jitter,
    lookup_limiter::LookupLimiter,
    organization::{self, SecretWatches, Waker},
    ownership::object_name,
    role, role_assignment,
    served_schema::ServedSchema,
    settings::Settings,
    temporary_grant::{self, LocalState},
    triggers::Trigger,
    unreadable::UnreadableObjects,
    watch::{self, Filled, Handlers, Watched},
};
use crate::telemetry::{Health, Metrics, health::ReadyFlag, labels::Outcome, metrics::ApiRequest};

/// Dependencies of [`run`].
pub struct Environment {
    /// For watches.
    pub client: Client,
    /// For reads, writes and Events: see [`amigo_runtime::kubernetes::client_no_retry`].
    pub client_no_retry: Client,
    pub clock: SharedClock,
    pub transport: Transport,
    pub settings: Settings,
    pub audit: Audit,
    pub metrics: Metrics,
    pub health: Health,
    /// Whether the last leader led for less than a minute: see [`leader::Leadership::follows_brief_leader`].
    ///
    /// [`leader::Leadership::follows_brief_leader`]: super::leader::Leadership::follows_brief_leader
    pub after_brief_leader: bool,
}

/// Why the controllers cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot read namespace kube-system, whose uid is the cluster's identity in tags: {0}")]
    Cluster(Box<kube::Error>),
}

/// Runs all controllers until `stop` is cancelled and their reconciles have ended.
///
/// # Errors
/// [`RunError`], at the start. Later errors are logged and retried.
pub async fn run(environment: Environment, stop: CancellationToken) -> Result<(), RunError> {
    let Environment { client, client_no_retry, clock, transport, settings, audit, metrics, health, after_brief_leader } =
        environment;
    let served_schema = ServedSchema::default();
    let (cluster, _) = tokio::join!(cluster_identity(&client_no_retry), served_schema.refresh(&client_no_retry));
    let cluster = cluster?;
    let start = if after_brief_leader { Start::AfterBriefLeader } else { Start::AfterLeader };
    let rate_limiters = RateLimiters::new(clock.clone(), Arc::new(Observer(metrics.clone())), start);
    let local_state = Arc::new(LocalState::default());
    let context_cell = ContextCell::default();
    let watches = Watches { client: client.clone(), unreadable: UnreadableObjects::default(), context: &context_cell };
    let organizations = watches.objects(organization::deleted);
    let roles = watches.objects(role::deleted);
    let assignments = watches.objects(|_: &RoleAssignment, context| context.triggers.assignments.pull());
    let deleted_grants = Arc::clone(&local_state);
    let grants = watches.objects(move |grant, context| temporary_grant::deleted(grant, &deleted_grants, context));
    let reporter = Reporter { controller: "amigo-operator".into(), instance: Some(settings.identity.clone()) };
    let (announcer, publisher) = events::channel(EventEnvironment {
        client: client_no_retry.clone(),
        reporter,
        clock: clock.clone(),
        metrics: metrics.clone(),
    });
    let stop_publisher = CancellationToken::new();
    let publishing = tokio::spawn(publisher.publish(stop_publisher.clone()));
    let context = Arc::new(Context {
        announcer,
        lookup_limiter: LookupLimiter::new(settings.concurrency),
        served_schema,
        role_turns: Turns::default(),
        connections: ConnectionRegistry::new(transport, clock.clone(), rate_limiters),
        stores: Stores {
            organizations: organizations.store.clone(),
            roles: roles.store.clone(),
            assignments: assignments.store.clone(),
            grants: grants.store.clone(),
        },
        organizations_filled: organizations.filled.clone(),
        roles_filled: roles.filled.clone(),
        grants_filled: grants.filled.clone(),
        unreadable: watches.unreadable.clone(),
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
    context_cell.set(&context);
    start_metrics(&context);
    let stores_filled = [
        (health.ready_flag("organizations"), organizations.filled.clone()),
        (health.ready_flag("roles"), roles.filled.clone()),
        (health.ready_flag("roleassignments"), assignments.filled.clone()),
        (health.ready_flag("temporarypermissiongrants"), grants.filled.clone()),
    ];
    let controllers = ControllerSet { context: &context };
    let triggers = &context.triggers;
    let grant_state = Arc::clone(&local_state);
    let reconcile_grant = move |grant, context| temporary_grant::reconcile(grant, context, Arc::clone(&grant_state));
    // Boxed: the four together would be a large future.
    tokio::join!(
        Box::pin(controllers.run(
            organizations,
            |controller| controller.reconcile_on(triggers.organizations.pulls()),
            organization::reconcile
        )),
        Box::pin(controllers.run(roles, all_on(&triggers.roles), role::reconcile)),
        Box::pin(controllers.run(assignments, all_on(&triggers.assignments), role_assignment::reconcile)),
        Box::pin(controllers.run(grants, all_on(&triggers.grants), reconcile_grant)),
        stop.run_until_cancelled(join_all(stores_filled.map(set_when_filled))),
        stop.run_until_cancelled(housekeeping(&context, &local_state, &health)),
    );
    stop_publisher.cancel();
    if let Err(error) = publishing.await {
        tracing::error!(%error, "the Event publisher stopped unexpectedly");
    }
    Ok(())
}

async fn cluster_identity(client: &Client) -> Result<String, RunError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = namespaces.get("kube-system").await.map_err(|error| RunError::Cluster(Box::new(error)))?;
    Ok(compact_uid(&namespace.uid().unwrap_or_default()))
}

fn start_metrics(context: &SharedContext) {
    let writes: Vec<_> =
        Endpoint::ALL.into_iter().filter(|endpoint| is_write(*endpoint)).map(Endpoint::as_str).collect();
    context.metrics.start_at_zero(&writes, &FINAL_REASONS);
    context.metrics.collect_from(Arc::<Context>::downgrade(context));
}

/// Interval at which the served CRDs are compared again while they are outdated or unknown.
const SCHEMA_INTERVAL: Duration = Duration::from_secs(10);

async fn set_when_filled((flag, filled): (ReadyFlag, Filled)) {
    if filled.wait().await {
        flag.set(true);
    }
}

/// A controller that also reconciles all its objects after a pull.
fn all_on<K>(trigger: &Trigger) -> impl FnOnce(Controller<K>) -> Controller<K>
where
    K: Reconciled + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let pulls = trigger.pulls();
    |controller| controller.reconcile_all_on(pulls)
}

/// Runs the controllers of all kinds in the same way.
struct ControllerSet<'a> {
    context: &'a SharedContext,
}

impl ControllerSet<'_> {
    /// Runs one controller and logs failed reconciles.
    async fn run<K, R, F>(
        &self,
        watched: Watched<K>,
        with_trigger: impl FnOnce(Controller<K>) -> Controller<K>,
        reconcile: R,
    ) where
        K: Reconciled + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        R: Fn(Arc<K>, SharedContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<(Action, Outcome), ReconcileError>> + Send + 'static,
    {
        let kind = K::KIND.as_str();
        let settings = &self.context.settings;
        let config = controller::Config::default().concurrency(settings.concurrency);
        let reconcile = move |object: Arc<K>, context: SharedContext| {
            let name = object_name(&*object);
            with_deadline::<K>(name, reconcile(object, Arc::clone(&context)), context)
        };
        let controller = with_trigger(Controller::for_stream(watched.stream, watched.store))
            .with_config(config)
            .graceful_shutdown_on(self.context.stop.clone().cancelled_owned())
            .run(reconcile, error_policy, Arc::clone(self.context))
            .for_each(|result| async move {
                match result {
                    Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
                    // The cache was behind. The next reconcile sees the other write.
                    Err(controller::Error::ReconcilerFailed(error, _)) if error.is_conflict() => {
                        tracing::debug!(kind, %error, "reconcile met a conflict; will retry");
                    }
                    Err(error) => tracing::warn!(kind, %error, "reconcile failed; will retry"),
                }
            });
        tokio::select! {
            () = controller => {}
            () = self.shutdown_deadline() => tracing::debug!(kind, "stopped without waiting for the controller"),
        }
    }

    /// A controller without its first list does not stop by itself.
    async fn shutdown_deadline(&self) {
        self.context.stop.cancelled().await;
        tokio::time::sleep(self.context.settings.call_deadline + DRAIN).await;
    }
}

/// Time for a controller to stop after its last reconcile was cut off.
const DRAIN: Duration = Duration::from_millis(500);

/// Limits and counts one reconcile.
async fn with_deadline<K: Reconciled>(
    name: String,
    reconcile: impl Future<Output = Result<(Action, Outcome), ReconcileError>>,
    context: SharedContext,
) -> Result<Action, ReconcileError> {
    let _active = context.metrics.start_reconcile(K::KIND);
    let started_at = context.clock.boot();
    let deadline = context.settings.reconcile_deadline;
    let shutdown = async {
        context.stop.cancelled().await;
        tokio::time::sleep(context.settings.call_deadline).await;
    };
    let result = tokio::select! {
        result = tokio::time::timeout(deadline, reconcile) => {
            result.unwrap_or(Err(ReconcileError::TimedOut { name, deadline }))
        }
        // A reconcile that still waits could wait for minutes. The next leader finds what it started.
        () = shutdown => Ok((Action::await_change(), Outcome::Waiting)),
    };
    let outcome = match &result {
        Ok((_, outcome)) => *outcome,
        Err(ReconcileError::TimedOut { .. }) => Outcome::TimedOut,
        Err(error) if error.is_conflict() => Outcome::Waiting,
        Err(_) => Outcome::Failed,
    };
    context.metrics.reconcile_finished(K::KIND, outcome, context.clock.boot().saturating_sub(started_at));
    result.map(|(action, _)| action)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is the controller's")]
fn error_policy<K>(_: Arc<K>, error: &ReconcileError, context: SharedContext) -> Action {
    // The watch shows the other write of a conflict within milliseconds.
    let wait = if error.is_conflict() { Duration::from_millis(200) } else { context.settings.tick };
    Action::requeue(jitter(wait))
}

/// Starts the watches of all kinds in the same way.
struct Watches<'a> {
    client: Client,
    unreadable: UnreadableObjects,
    context: &'a ContextCell,
}

impl Watches<'_> {
    fn objects<K>(&self, deleted: impl Fn(&K, &Context) + Send + 'static) -> Watched<K>
    where
        K: Reconciled + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let report = |unreadable: &Unreadable, context: &Context| context.announce_unreadable(K::KIND, unreadable);
        let handlers = Handlers { deleted: self.context.handler(deleted), unreadable: self.context.handler(report) };
        watch::objects(self.client.clone(), self.unreadable.clone(), handlers)
    }
}

/// The context for handlers of watches, which exist before it.
#[derive(Clone, Default)]
struct ContextCell(Arc<OnceLock<Weak<Context>>>);

impl ContextCell {
    fn set(&self, context: &SharedContext) {
        // `run` creates one cell and one context, so this cannot fail.
        let _ = self.0.set(Arc::downgrade(context));
    }

    fn handler<K>(&self, act: impl Fn(&K, &Context) + Send + 'static) -> impl Fn(&K) + Send + 'static {
        let context = Arc::clone(&self.0);
        move |object| {
            if let Some(context) = context.get().and_then(Weak::upgrade) {
                act(object, &context);
            }
        }
    }
}

/// Interval at which the local state of deleted grants is removed.
const PRUNE_INTERVAL: Duration = Duration::from_mins(5);

/// Sends the heartbeat, keeps the Secret watches in step with the Organizations, releases unreadable objects, and removes
/// stale state.
async fn housekeeping(context: &SharedContext, local_state: &LocalState, health: &Health) {
    let namespace = context.settings.namespace.clone();
    let secrets = SecretWatches::new(context.client.clone(), namespace, Waker::new(context));
    let (mut pruned_at, mut counted_at) = (context.clock.boot(), context.clock.boot());
    let mut checked_at = pruned_at;
    loop {
        health.beat();
        secrets.follow(&context.stores.organizations.state());
        organization::prune(context);
        if !context.served_schema.is_complete() && context.clock.boot().saturating_sub(checked_at) > SCHEMA_INTERVAL {
            checked_at = context.clock.boot();
            if context.served_schema.refresh(&context.client_no_retry).await {
                // After an upgrade of the CRDs, blocked grants continue at once.
                context.triggers.organization_changed();
            }
        }
        context.release_unreadable::<Role>(&context.stores.roles).await;
        context.release_unreadable::<RoleAssignment>(&context.stores.assignments).await;
        if context.clock.boot().saturating_sub(pruned_at) > PRUNE_INTERVAL {
            pruned_at = context.clock.boot();
            local_state.prune(&context.stores.grants.state());
            context.role_turns.prune(&context.stores.roles.state());
        }
        if context.clock.boot().saturating_sub(counted_at) >= context.settings.tick {
            counted_at = context.clock.boot();
            organization::recount(context);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Whether an unknown outcome matters. An unused token of a sign-in does not.
fn is_write(endpoint: Endpoint) -> bool {
    !endpoint.is_read() && endpoint != Endpoint::SignIn
}

/// Exports the client's requests as metrics.
struct Observer(Metrics);

impl Observe for Observer {
    fn request(&self, endpoint: Endpoint, result: Result<u16, &Error>, duration: Duration) {
        let (outcome, status) = match result {
            Ok(status) => ("ok", Some(status)),
            Err(error) => (error.kind().as_str(), error.status()),
        };
        let outcome_unknown = is_write(endpoint) && result.is_err_and(Error::ambiguous);
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
