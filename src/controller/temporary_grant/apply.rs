//! Apply: performs one effect of the protocol and returns its result as the next input.

use std::time::Duration;

use amigo_api::{TemporaryPermissionGrant, TemporaryPermissionGrantStatus, reasons};
use amigo_client::{Client, Error, NewGrant, Reservation, Turn};
use amigo_lifecycle::{
    Failure, RetryClass,
    grant::{Effect, Input, Post, PostOutcome, WriteOutcome},
};
use futures::{StreamExt as _, stream};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Preconditions},
};

use super::{Reconciliation, report::End};
use crate::{
    controller::{
        context::{ReconcileError, begin_write, is_status},
        ownership::object_name,
    },
    telemetry::labels::{Kind, Verb},
};

/// The maximum number of simultaneous requests for one object.
const MAX_SIMULTANEOUS_POSTS: usize = 5;

/// The result of an effect.
#[expect(clippy::large_enum_variant, reason = "one value per effect, passed on immediately")]
pub enum Applied {
    /// The input of the next step.
    Input(Input),
    End(End),
}

/// A client, and the rate limit for its requests.
struct Sender<'a> {
    client: &'a Client,
    reservation: Reservation,
}

impl Reconciliation<'_> {
    /// Performs the effect of a step that changed the status to `record`.
    pub async fn apply(&mut self, effect: Option<Effect>, record: &TemporaryPermissionGrantStatus) -> Applied {
        tracing::debug!(object = object_name(&self.object), ?effect, "the next effect of the grant protocol");
        let Some(effect) = effect else { return Applied::End(End::Wait(None)) };
        match effect {
            Effect::WaitUntil(until) => Applied::End(End::Wait(Some(until))),
            Effect::Resolve => match self.context.stop.run_until_cancelled(self.resolve()).await {
                Some(resolved) => {
                    self.recheck_credentials(resolved.as_ref().err());
                    Applied::Input(Input::Resolved(resolved))
                }
                None => Applied::End(End::Stopped),
            },
            Effect::Reserve { posts, renewal } => Applied::Input(Input::Reserved(self.reserve(posts, renewal))),
            // The look-ups before this effect may have taken long.
            Effect::Read if self.is_outdated() => Applied::End(End::Outdated),
            Effect::Read => {
                let applied = self.read().await;
                if let Applied::Input(Input::Read(Ok(fresh))) = &applied {
                    self.local.pending.record_observed(&self.object, &fresh.record, self.context);
                }
                applied
            }
            Effect::WriteStatus => self.write_and_announce(record).await,
            Effect::Post { posts, window_closes } => {
                let outcomes = self.post(posts, window_closes).await;
                for (_, outcome) in &outcomes {
                    self.recheck_credentials(outcome.failure());
                }
                Applied::Input(Input::Posted(outcomes))
            }
            Effect::Lookup(query) => match self.context.stop.run_until_cancelled(self.list_grants(query)).await {
                Some(listed) => {
                    self.recheck_credentials(listed.as_ref().err());
                    Applied::Input(Input::LookedUp(listed))
                }
                None => Applied::End(End::Stopped),
            },
            Effect::Delete => self.delete_expired().await,
        }
    }

    /// Reserves rate limit for all requests together, and keeps the place in the queue until they are sent. Live access
    /// must not lapse, and no namespace waits for the backlog of another.
    fn reserve(&mut self, posts: u32, renewal: bool) -> Result<(), Duration> {
        let Some(client) = &self.client else { return Ok(()) };
        let enough = usize::try_from(posts).unwrap_or(usize::MAX);
        let kept =
            self.local.reservation.take().filter(|reservation| {
                reservation.remaining() >= enough && reservation.belongs_to(client.rate_limiter())
            });
        let reservation = kept.unwrap_or_else(|| {
            let turn = if renewal { Turn::First } else { Turn::Shared(self.object.namespace().unwrap_or_default()) };
            client.reserve_grant_posts(posts, turn)
        });
        let ready_at = reservation.ready_at();
        self.local.reservation = Some(reservation);
        if ready_at <= self.context.clock.boot() { Ok(()) } else { Err(ready_at) }
    }

    async fn write_and_announce(&mut self, record: &TemporaryPermissionGrantStatus) -> Applied {
        let before = self.object.status.clone().unwrap_or_default();
        let applied = self.write(record.clone()).await;
        match &applied {
            Applied::Input(Input::Written(WriteOutcome::Done)) => {
                self.local.pending.record_written(&self.object, before, record, self.context);
            }
            Applied::Input(Input::Written(WriteOutcome::Unknown)) => self.local.pending.write_unknown(before),
            _ => {}
        }
        applied
    }

    /// Replaces the status under the `resourceVersion` of the last read. The API server removes fields that the CRD
    /// lacks. An intent that is not stored as written protects nothing, so the outcome of such a write is unknown.
    async fn write(&mut self, record: TemporaryPermissionGrantStatus) -> Applied {
        let mut object = self.object.clone();
        object.status = Some(record);
        let api = self.context.api_of(&object);
        match self.context.write_status(&api, &object).await {
            Ok(mut written) => {
                let is_stored = written.status == object.status;
                written.managed_fields_mut().clear();
                self.object = written;
                if !is_stored {
                    tracing::error!(object = object_name(&self.object), "the API server removed fields of the status");
                    self.context.served_schema.status_was_pruned::<TemporaryPermissionGrant>();
                }
                Applied::Input(Input::Written(if is_stored { WriteOutcome::Done } else { WriteOutcome::Unknown }))
            }
            Err(error) => not_written(&error),
        }
    }

    /// Sends each request at most once, and none after the window has closed.
    async fn post(&mut self, posts: Vec<Post>, window_closes: Duration) -> Vec<(u32, PostOutcome)> {
        let reservation = self.local.reservation.take();
        let _permit = self.context.lookup_limiter.count(self.organization_uid());
        let justification = self.object.spec.justification.trim();
        let client = self.client();
        let sender = client.map(|client| {
            let posts = u32::try_from(posts.len()).unwrap_or(u32::MAX);
            let mut reservation = reservation.unwrap_or_else(|| client.reserve_grant_posts(posts, Turn::default()));
            reservation.set_send_before(window_closes);
            Sender { client, reservation }
        });
        let sender = sender.as_ref().map_err(Failure::clone);
        let requests: Vec<_> = posts
            .into_iter()
            .map(|post| {
                let sender = sender.clone();
                async move { (post.slot, create(sender, post, justification).await) }
            })
            .collect();
        stream::iter(requests).buffer_unordered(MAX_SIMULTANEOUS_POSTS).collect().await
    }

    async fn delete_expired(&mut self) -> Applied {
        // If the response is lost, the next reconcile or the watch announces the expiry.
        self.local.pending.expiry = true;
        let applied = self.delete().await;
        if !matches!(applied, Applied::End(End::Deleted) | Applied::Input(Input::Written(WriteOutcome::Unknown))) {
            self.local.pending.expiry = false;
        }
        applied
    }

    /// Deletes the object, if it is unchanged since the last read.
    async fn delete(&mut self) -> Applied {
        let preconditions = Preconditions { uid: self.object.uid(), resource_version: self.object.resource_version() };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let api = self.context.api_of(&self.object);
        let effect = begin_write(Kind::TemporaryPermissionGrant, Verb::Delete);
        let deleted = api.delete(&self.object.name_any(), &parameters).await;
        effect.end();
        self.context.metrics.kubernetes_written(Kind::TemporaryPermissionGrant, Verb::Delete);
        match deleted {
            Ok(response) => match response.left().filter(|object| !object.finalizers().is_empty()) {
                // Another client's finalizer delays the deletion. The next reconcile writes the end to the status.
                Some(mut terminating) => {
                    terminating.managed_fields_mut().clear();
                    self.object = terminating;
                    Applied::End(End::Outdated)
                }
                None => Applied::End(End::Deleted),
            },
            Err(error) => not_written(&ReconcileError::kubernetes("delete", &self.object, error)),
        }
    }

    /// Reconciles the Organization at once if Amigo rejected its credentials.
    fn recheck_credentials(&self, failure: Option<&Failure>) {
        if failure.is_some_and(|failure| failure.reason == reasons::CREDENTIALS_REJECTED) {
            self.context.triggers.organizations.pull(&self.object.spec.organization_ref.name);
        }
    }
}

fn not_written(error: &ReconcileError) -> Applied {
    match error {
        ReconcileError::Kubernetes { source, .. } if is_status(source, 404) => Applied::End(End::Deleted),
        _ if error.is_conflict() => Applied::Input(Input::Written(WriteOutcome::Conflict)),
        _ => {
            log_failure(error);
            Applied::Input(Input::Written(WriteOutcome::Unknown))
        }
    }
}

/// Logs a failure of the Kubernetes API, which the protocol retries.
pub fn log_failure(error: &ReconcileError) {
    tracing::warn!(%error, "a Kubernetes API request failed; will retry");
}

async fn create(sender: Result<&Sender<'_>, Failure>, post: Post, justification: &str) -> PostOutcome {
    let Sender { client, reservation } = match sender {
        Ok(sender) => sender,
        Err(failure) => return PostOutcome::NotSent(failure),
    };
    let Post { slot: _, user_id, permission, duration, tags } = post;
    let subject = format!("{} for user {user_id}", permission.permission_name);
    let grant = NewGrant {
        user_id,
        duration,
        permission_name: permission.permission_name,
        conditions: permission.conditions,
        tags,
        justification: justification.to_owned(),
    };
    match client.create_grant(&grant, reservation).await {
        Ok(created) => PostOutcome::Created { id: created.id, expires_at: created.expires_at },
        Err(error) => classify(&error, &subject),
    }
}

fn classify(error: &Error, subject: &str) -> PostOutcome {
    let failure = Failure::from(error);
    let failure = Failure { message: format!("{subject}: {}", failure.message), ..failure };
    if error.never_sent() {
        PostOutcome::NotSent(failure)
    } else if error.refused() {
        PostOutcome::Rejected(failure)
    } else {
        // Any other error can follow after Amigo created the grant. Transient: the listing shows the outcome.
        PostOutcome::Unknown(Failure { class: RetryClass::Transient, ..failure })
    }
}
