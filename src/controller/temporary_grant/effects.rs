//! The effects of the grant protocol, performed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use amigo_api::{TemporaryPermissionGrant, reasons};
use amigo_client::{Client, Error, GrantFilter, NewGrant, RemoteGrant, Reservation};
use amigo_lifecycle::grant::assumptions::{committed_late, is_stale_read};
use amigo_lifecycle::grant::{
    Fresh, Input, ListedGrant, Post, PostOutcome, ReadFailed, Resolved, UID, WriteOutcome, compact_uid,
};
use amigo_lifecycle::{Failure, RetryClass};
use amigo_permissions::{Condition, Conditions};
use futures::{StreamExt as _, stream};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Preconditions},
};

use super::LocalEntry;
use crate::{
    controller::{
        connection::Connection,
        context::{Context, ReconcileError, is_status},
        ownership::object_name,
    },
    telemetry::labels::{Assumption, Kind, Verb},
};

/// How long a look-up may wait for its budget within one pass.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);

/// How many requests of one bundle are under way at a time.
const POSTS_AT_ONCE: usize = 5;

/// What performing an effect came to.
#[expect(clippy::large_enum_variant, reason = "made once an effect and handed over at once")]
pub enum Performed {
    /// The next input.
    Input(Input),
    /// The object is gone: nothing is left to do.
    Gone,
    /// The Organization, or what the object is, changed since the pass began.
    Overtaken,
    /// The operator stops, and this was only a permit: the next process asks it again.
    Stopped,
}

/// One pass over one object.
pub struct Pass<'a> {
    /// What every reconciler is given.
    pub context: &'a Context,
    /// The object as last read or written.
    pub object: TemporaryPermissionGrant,
    /// The connection, where there is one and the namespace may use it.
    pub client: Option<Client>,
    /// The Organization as it was when the pass began.
    pub connection: Option<Arc<Connection>>,
    /// What this process remembers of the object.
    pub entry: LocalEntry,
}

impl Pass<'_> {
    /// Whether the Organization is another than when the pass began: what it admits must be judged anew.
    pub fn is_overtaken(&self) -> bool {
        let now = self.context.connections.get(&self.object.spec.organization_ref.name);
        match (&self.connection, &now) {
            (Some(then), Some(now)) => !Arc::ptr_eq(then, now),
            (then, now) => then.is_some() != now.is_some(),
        }
    }

    /// Asks within bounds: a pass that waits for Amigo must not keep others from expiring in time, nor those of another
    /// Organization from asking.
    async fn asked<T>(&self, permit: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let put_off = |why| Failure::new(reasons::QUEUED, RetryClass::Transient, why);
        let Some(_place) = self.context.lookup_limiter.try_acquire(self.link_uid()) else {
            return Err(put_off("waits until Amigo has answered earlier look-ups"));
        };
        let within = self.context.settings.call_deadline + LONGEST_QUEUE;
        let answer = tokio::time::timeout(within, permit).await;
        answer.unwrap_or_else(|_| Err(put_off("waiting for Amigo's rate limit")))
    }

    fn link_uid(&self) -> &str {
        self.connection.as_ref().map_or("", |connection| &connection.uid)
    }

    /// The user's id, and the conversation's owner.
    pub async fn resolve(&self) -> Result<Resolved, Failure> {
        self.asked(self.look_up_ids()).await
    }

    async fn look_up_ids(&self) -> Result<Resolved, Failure> {
        let client = self.client()?;
        client.sign_in().await.map_err(|error| Failure::from(&error))?;
        // Both at once: each is one of many in a batch.
        let (user_id, owner_user_id) = tokio::try_join!(self.user(client), self.owner(client))?;
        Ok(Resolved { user_id, owner_user_id })
    }

    async fn user(&self, client: &Client) -> Result<String, Failure> {
        let user = &self.object.spec.user;
        let Some(email) = user.email.as_deref() else {
            return Ok(user.user_id.clone().unwrap_or_default());
        };
        let found = client.user_by_email(email).await.map_err(|error| Failure::from(&error))?;
        found.map(|user| user.user_id).ok_or_else(|| {
            let message = format!(
                "no user with e-mail {email} is visible in {}: check the address, or invite the user first",
                client.organization_id()
            );
            Failure::new(reasons::USER_NOT_FOUND, RetryClass::Persistent, message)
        })
    }

    async fn owner(&self, client: &Client) -> Result<Option<String>, Failure> {
        let Some(conversation) = &self.object.spec.conversation else { return Ok(None) };
        if conversation.owner_user_id.is_some() {
            return Ok(conversation.owner_user_id.clone());
        }
        let id = conversation.conversation_id().unwrap_or_default();
        let found = client.conversation(id).await.map_err(|error| Failure::from(&error))?;
        found.map(|conversation| Some(conversation.user_id)).ok_or_else(|| {
            let message = format!(
                "conversation {id} does not exist in {} or is not visible to the operator's user: check the id, give that user \
                 Conversation:GetConversation, or set conversation.ownerUserId",
                client.organization_id()
            );
            Failure::new(reasons::CONVERSATION_NOT_VISIBLE, RetryClass::Persistent, message)
        })
    }

    /// Reserves the budget of the bundle, one call each so that they can leave together.
    pub fn reserve(&mut self, posts: u32) -> Result<(), jiff::Timestamp> {
        let Some(client) = &self.client else { return Ok(()) };
        let reservations = &mut self.entry.reservations;
        let wanted = usize::try_from(posts).unwrap_or(usize::MAX);
        reservations.retain(|reservation| reservation.remaining() > 0);
        reservations.truncate(wanted);
        while reservations.len() < wanted {
            reservations.push(client.reserve_grant_posts(1));
        }
        let now = self.context.clock.boot();
        let ready_at = reservations.iter().map(Reservation::ready_at).max().unwrap_or(now);
        if ready_at <= now {
            return Ok(());
        }
        let wait = jiff::SignedDuration::try_from(ready_at.saturating_sub(now)).unwrap_or(jiff::SignedDuration::ZERO);
        Err(self.context.clock.now().saturating_add(wait).unwrap_or(jiff::Timestamp::MAX))
    }

    /// A quorum read.
    pub async fn read(&mut self) -> Performed {
        let began = self.context.clock.boot();
        let api = self.context.api_of(&self.object);
        match api.get_opt(&self.object.name_any()).await {
            Ok(Some(object)) if object.uid() == self.object.uid() => {
                if is_stale_read(&self.object, &object) {
                    self.complain_of(Assumption::StaleRead, "a read shows an older version than was seen before");
                }
                self.object = object;
                let record = self.object.status.clone().unwrap_or_default();
                let generation = self.object.metadata.generation.unwrap_or_default();
                Performed::Input(Input::Read(Ok(Fresh { generation, record, began })))
            }
            Ok(_) => Performed::Gone,
            Err(error) => {
                complain(&ReconcileError::kubernetes("read", &self.object, error));
                Performed::Input(Input::Read(Err(ReadFailed)))
            }
        }
    }

    /// Writes the status under the version last read.
    pub async fn write(&mut self, record: amigo_api::TemporaryPermissionGrantStatus) -> Performed {
        let mut object = self.object.clone();
        object.status = Some(record);
        let api = self.context.api_of(&object);
        match self.context.write_status(&api, &object).await {
            Ok(mut written) => {
                written.managed_fields_mut().clear();
                self.object = written;
                Performed::Input(Input::Written(WriteOutcome::Done))
            }
            Err(error) => Self::unwritten(&error),
        }
    }

    /// Deletes the object, if it is still the one last seen.
    pub async fn delete(&mut self) -> Performed {
        let preconditions = Preconditions { uid: self.object.uid(), resource_version: self.object.resource_version() };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let api = self.context.api_of(&self.object);
        let deleted = api.delete(&self.object.name_any(), &parameters).await;
        self.context.metrics.kubernetes_written(Kind::TemporaryPermissionGrant, Verb::Delete);
        match deleted {
            Ok(answer) => match answer.left().filter(|object| !object.finalizers().is_empty()) {
                // Somebody's finalizer holds it: the next pass sees it being deleted, and writes down its end.
                Some(mut entry) => {
                    entry.managed_fields_mut().clear();
                    self.object = entry;
                    Performed::Overtaken
                }
                None => Performed::Gone,
            },
            Err(error) => Self::unwritten(&ReconcileError::kubernetes("delete", &self.object, error)),
        }
    }

    fn unwritten(error: &ReconcileError) -> Performed {
        match error {
            ReconcileError::Kubernetes { source, .. } if is_status(source, 404) => Performed::Gone,
            _ if error.is_conflict() => Performed::Input(Input::Written(WriteOutcome::Conflict)),
            _ => {
                complain(error);
                Performed::Input(Input::Written(WriteOutcome::Unknown))
            }
        }
    }

    /// Sends each request at most once, and none after the window has closed.
    pub async fn post(&mut self, posts: Vec<Post>, window_closes: Duration) -> Vec<(u32, PostOutcome)> {
        let reservations = std::mem::take(&mut self.entry.reservations);
        let _place = self.context.lookup_limiter.count(self.link_uid());
        let justification = self.object.spec.justification.trim();
        let client = self.client();
        let mut reservations = reservations.into_iter();
        let requests = posts.into_iter().map(|post| {
            let ready = client
                .clone()
                .map(|client| (client, reservations.next().unwrap_or_else(|| client.reserve_grant_posts(1))));
            async move { (post.slot, create(ready, post, justification, window_closes).await) }
        });
        let requests: Vec<_> = requests.collect();
        stream::iter(requests).buffer_unordered(POSTS_AT_ONCE).collect().await
    }

    /// Refused credentials are the Organization's matter: it looks at once.
    pub fn mind_credentials(&self, failure: Option<&Failure>) {
        if failure.is_some_and(|failure| failure.reason == reasons::CREDENTIALS_REJECTED) {
            self.context.triggers.organizations.pull();
        }
    }

    /// All records that carry the object's uid.
    pub async fn look_up(&self) -> Result<Vec<ListedGrant>, Failure> {
        let uid = compact_uid(&self.object.uid().unwrap_or_default());
        let filter = GrantFilter { tags: vec![(UID.to_owned(), uid)], ..GrantFilter::default() };
        let client = self.client()?;
        let listing = async { client.grants(&filter).await.map_err(|error| Failure::from(&error)) };
        let grants = self.asked(listing).await?;
        let (status, timing) = (self.object.status.as_ref(), &self.context.settings.timing());
        if status.is_some_and(|status| grants.iter().any(|grant| committed_late(status, grant, timing))) {
            self.complain_of(Assumption::LateCommit, "Amigo made a record later than assumed");
        }
        Ok(grants.into_iter().map(listed_grant).collect())
    }

    fn complain_of(&self, assumption: Assumption, what: &str) {
        self.context.metrics.assumption_violated(assumption);
        tracing::warn!(object = object_name(&self.object), assumption = assumption.as_str(), "{what}");
    }

    fn client(&self) -> Result<&Client, Failure> {
        let closed = || {
            Failure::new(
                reasons::ORGANIZATION_NOT_READY,
                RetryClass::Persistent,
                "the Organization cannot be used at present",
            )
        };
        self.client.as_ref().ok_or_else(closed)
    }
}

fn complain(error: &ReconcileError) {
    tracing::warn!(%error, "the Kubernetes API did not do as asked; trying again");
}

async fn create(
    ready: Result<(&Client, Reservation), Failure>,
    post: Post,
    justification: &str,
    window_closes: Duration,
) -> PostOutcome {
    let (client, mut reservation) = match ready {
        Ok(ready) => ready,
        Err(failure) => return PostOutcome::NotSent(failure),
    };
    reservation.set_send_before(window_closes);
    let Post { slot: _, user_id, permission, duration, tags } = post;
    let asked = format!("{} for user {user_id}", permission.permission_name);
    let grant = NewGrant {
        user_id,
        duration,
        permission_name: permission.permission_name,
        conditions: permission.conditions,
        tags,
        justification: justification.to_owned(),
    };
    match client.create_grant(&grant, &mut reservation).await {
        Ok(created) => PostOutcome::Created { id: created.id, expires_at: created.expires_at },
        Err(error) => classify(&error, &asked),
    }
}

fn classify(error: &Error, asked: &str) -> PostOutcome {
    let failure = Failure::from(error);
    let failure = Failure { message: format!("{asked}: {}", failure.message), ..failure };
    if error.never_sent() {
        PostOutcome::NotSent(failure)
    } else if error.refused() {
        PostOutcome::Rejected(failure)
    } else {
        // Whatever the error is otherwise, it may have come after the grant was made: time will tell.
        PostOutcome::Unknown(Failure { class: RetryClass::Transient, ..failure })
    }
}

fn listed_grant(grant: RemoteGrant) -> ListedGrant {
    let tags: BTreeMap<String, String> =
        grant.tags.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect();
    ListedGrant {
        id: grant.id,
        user_id: grant.user_id,
        permission_name: grant.permission_name,
        conditions: grant.conditions.unwrap_or_else(unreadable),
        expires_at: grant.expires_at,
        created_at: grant.created_at,
        creator_user_id: grant.creator,
        tags,
    }
}

/// Conditions that equal nothing anybody can ask for.
fn unreadable() -> Conditions {
    [(String::new(), Condition::In { values: Vec::new() })].into()
}
