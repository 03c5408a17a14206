//! Leader election among replicas, by a `coordination.k8s.io/v1` Lease.
//!
//! # Expected flow
//! Every replica starts an [`Election`]. At each [`Settings::retry_period`] it reads the Lease, decides, and replaces it
//! under the `resourceVersion` that it read. [`Leadership::won`] returns the winner's token; the controllers run until
//! the token is cancelled. On shutdown, the controllers drain first; then [`Election::stop`] releases the Lease.
//!
//! # Guarantees
//! A leader that cannot renew cancels its token [`Settings::renew_deadline`] after the start of its last renewal. Another
//! replica takes the Lease at least one lease duration after it observed that renewal. Each process measures the age of
//! the record with its own boot-time clock, so wall clocks may differ. A released Lease is taken within two retry periods.
//!
//! # Assumptions
//! The clocks of two machines run at nearly the same speed. The identity is unique to a process.
//!
//! # Caveats
//! A paused process (`SIGSTOP`, a frozen virtual machine) believes that it leads until its next renewal. Leadership is
//! therefore an optimization; the intents of the grant protocol prevent duplicate grants. A conflict ends the term, even
//! if another client only annotated the Lease.

mod candidate;
mod decide;

use std::time::Duration;

use amigo_runtime::clock::SharedClock;
use kube::Client;
use rand::Rng as _;
use tokio::{sync::watch, task::JoinHandle, time};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::candidate::{Candidate, LeaseStatus};
use super::settings::Settings;

// Replicas that started together must not check the Lease together forever.
const RETRY_JITTER: f64 = 0.2;

/// `host` (the pod's name) with a random suffix: a restarted process must not mistake itself for its predecessor.
#[must_use]
pub fn unique_identity(host: &str) -> String {
    format!("{host}_{:016x}", rand::random::<u64>())
}

/// This replica's part in the election. Dropping it ends the term and releases the Lease without reporting errors.
#[derive(Debug)]
pub struct Election {
    leadership: Leadership,
    task: JoinHandle<Result<(), Error>>,
    stop: DropGuard,
}

impl Election {
    /// Starts the election. The client must not retry: see [`amigo_runtime::kubernetes::client_no_retry`].
    ///
    /// # Errors
    /// If the identity is empty or the lease duration is zero.
    pub fn start(client: Client, clock: SharedClock, settings: Settings) -> Result<Self, Error> {
        if settings.identity.is_empty() {
            return Err(Error::Settings("the identity is empty"));
        }
        if settings.retry_period().is_zero() {
            return Err(Error::Settings("the lease duration is zero"));
        }
        let candidate = Candidate::new(client, clock, settings);
        let (sender, receiver) = watch::channel(None);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(candidate, sender, stop.clone()));
        Ok(Self { leadership: Leadership { term: receiver }, task, stop: stop.drop_guard() })
    }

    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Cancels the term, if any, and releases the Lease. Call it after the controllers have drained.
    ///
    /// # Errors
    /// If it cannot release the Lease. Other replicas then wait until it expires.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { leadership: _, task, stop } = self;
        drop(stop);
        task.await.map_err(Error::Task)?
    }
}

/// Whether this replica leads.
#[derive(Clone, Debug)]
pub struct Leadership {
    term: watch::Receiver<Option<Term>>,
}

/// One term of a leader.
#[derive(Clone, Debug)]
struct Term {
    token: CancellationToken,
    follows_brief_leader: bool,
}

impl Leadership {
    /// Waits until this replica is the leader. The token is cancelled when its term ends. `None` after the election.
    pub async fn won(&mut self) -> Option<CancellationToken> {
        self.term.wait_for(|term| is_live(term.as_ref())).await.ok()?.as_ref().map(|term| term.token.clone())
    }

    /// Whether the predecessor of the present term led for less than a minute. The rate limits then have no room for
    /// another start.
    #[must_use]
    pub fn follows_brief_leader(&self) -> bool {
        self.term.borrow().as_ref().is_some_and(|term| term.follows_brief_leader)
    }

    #[must_use]
    pub fn is_leader(&self) -> bool {
        is_live(self.term.borrow().as_ref())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start the leader election: {0}")]
    Settings(&'static str),
    #[error("cannot {verb} lease {namespace}/{name}: {source}")]
    Lease { verb: &'static str, namespace: String, name: String, source: Box<kube::Error> },
    #[error("no response about the lease within {0:?}")]
    Deadline(Duration),
    #[error("the leader election stopped unexpectedly: {0}")]
    Task(tokio::task::JoinError),
}

fn is_live(term: Option<&Term>) -> bool {
    term.is_some_and(|term| !term.token.is_cancelled())
}

type Terms = watch::Sender<Option<Term>>;

async fn run(mut candidate: Candidate, terms: Terms, stop: CancellationToken) -> Result<(), Error> {
    while let Some(renewed) = stop.run_until_cancelled(acquire(&mut candidate)).await {
        let token = CancellationToken::new();
        // The end of this task ends the term.
        let ends_term = token.clone().drop_guard();
        let follows_brief_leader = candidate.follows_brief_leader;
        terms.send_replace(Some(Term { token, follows_brief_leader }));
        tracing::info!(identity = candidate.settings.identity, "this replica is the leader");
        let lost = stop.run_until_cancelled(renew(&mut candidate, renewed)).await;
        drop(ends_term);
        terms.send_replace(None);
        if let Some(reason) = lost {
            tracing::warn!(identity = candidate.settings.identity, reason, "this replica is no longer the leader");
        }
    }
    let within = candidate.settings.renew_deadline();
    time::timeout(within, candidate.release()).await.unwrap_or(Err(Error::Deadline(within)))
}

/// Tries until this replica is the leader; returns the boot time at which the successful step started.
async fn acquire(candidate: &mut Candidate) -> Duration {
    loop {
        let began = candidate.boot();
        match time::timeout(candidate.settings.renew_deadline(), candidate.step()).await {
            Ok(Ok(LeaseStatus::Leading)) => return began,
            Ok(Ok(LeaseStatus::Following)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot acquire the Lease; will retry"),
            Err(_) => tracing::warn!("no response about the Lease; will retry"),
        }
        let jitter = 1.0 + rand::rng().random_range(0.0..RETRY_JITTER);
        time::sleep(candidate.settings.retry_period().mul_f64(jitter)).await;
    }
}

/// Renews until that fails for too long or another replica leads; returns the reason.
async fn renew(candidate: &mut Candidate, mut renewed: Duration) -> &'static str {
    loop {
        let left = time_left(candidate, renewed);
        time::sleep(left.min(candidate.settings.retry_period())).await;
        let began = candidate.boot();
        let left = time_left(candidate, renewed);
        // A step that fails immediately would finish before a timeout of zero, in an endless loop.
        if left.is_zero() {
            return "it could not renew the Lease in time";
        }
        match time::timeout(left, candidate.step()).await {
            Ok(Ok(LeaseStatus::Leading)) => renewed = began,
            Ok(Ok(LeaseStatus::Following)) => return "another replica holds or changed the Lease",
            Ok(Err(error)) => tracing::warn!(%error, "cannot renew the Lease; will retry"),
            Err(_) => {}
        }
    }
}

fn time_left(candidate: &Candidate, renewed: Duration) -> Duration {
    let since = candidate.boot().saturating_sub(renewed);
    candidate.settings.renew_deadline().saturating_sub(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leader_steps_down_before_its_lease_expires() {
        for milliseconds in [1, 100, 1_500, 15_000, 3_600_000] {
            let lease_duration = Duration::from_millis(milliseconds);
            let settings = Settings { lease_duration, ..Settings::new("amigo", "me") };
            assert!(settings.renew_deadline() < lease_duration);
            assert!(settings.renew_deadline() > settings.retry_period().mul_f64(1.0 + RETRY_JITTER));
        }
    }

    #[test]
    fn identities_of_one_host_differ() {
        assert_ne!(unique_identity("pod-0"), unique_identity("pod-0"));
    }
}
