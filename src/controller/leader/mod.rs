//! Which of several replicas works: a `coordination.k8s.io/v1` Lease, entry by one of them.
//!
//! # Expected flow
//! Every replica starts an [`Election`]. Each `retry_period` it reads the lease, decides, and if it may lead replaces
//! the lease under the `resourceVersion` it read. The winner's [`Leadership::won`] gives a token; the controllers run
//! until the token is cancelled. On shutdown the controllers are drained first, then [`Election::stop`] hands over.
//!
//! # Guarantees
//! A replica whose renewals fail cancels its token `renew_deadline` after the start of its last good one; another
//! takes the lease no earlier than `lease_duration` after it saw that renewal. Expiry is judged by this process's own
//! boot-time clock since the record last changed: wall clocks may differ as they like. A released lease is taken
//! within two retry periods.
//!
//! # Assumptions
//! The clocks of two machines run at nearly the same speed, and the identity is unique to a process.
//!
//! # Caveats
//! A paused process (`SIGSTOP`, a frozen virtual machine) wakes believing it leads, until its next tick. So leading
//! is for economy, never for safety: exactly-once rests on the intents of the grant protocol. A conflict ends the
//! term even if it came from somebody merely annotating the lease.
//!
//! # Errors
//! Failed steps are logged and tried again; only bad [`Options`] and a failed release come back as [`Error`].

mod candidate;
mod decide;

use std::time::Duration;

use amigo_runtime::clock::SharedClock;
use kube::Client;
use rand::Rng as _;
use tokio::{sync::watch, task::JoinHandle, time};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::candidate::{Candidate, LeaseStatus};

// Followers that started together must not ask together for ever.
const RETRY_JITTER: f64 = 0.2;

/// The lease and its times.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of the lease: the operator's own.
    pub namespace: String,
    /// The name of the lease.
    pub name: String,
    /// Unique to this process: see [`unique_identity`].
    pub identity: String,
    /// How long followers wait for a renewal. Default 15 s; promised to others in whole seconds, rounded up.
    pub lease_duration: Duration,
    /// How long the leader leads on without a renewal. Default 10 s.
    pub renew_deadline: Duration,
    /// How often the lease is looked at. Default 2 s.
    pub retry_period: Duration,
}

impl Options {
    /// The default times.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.identity.is_empty() {
            return Err(Error::Options("the identity is empty"));
        }
        if self.lease_duration <= self.renew_deadline {
            return Err(Error::Options("the lease duration must be longer than the renew deadline"));
        }
        if self.retry_period.is_zero() || self.renew_deadline <= self.retry_period.mul_f64(1.0 + RETRY_JITTER) {
            return Err(Error::Options("the renew deadline must be longer than 1.2 retry periods, and those not zero"));
        }
        Ok(())
    }
}

/// `host` (a pod's name) with a random end: a process that starts again must not take itself for its predecessor.
#[must_use]
pub fn unique_identity(host: &str) -> String {
    format!("{host}_{:016x}", rand::random::<u64>())
}

/// This replica's part in the election. Dropping it ends the term and hands over without telling how that went.
#[derive(Debug)]
pub struct Election {
    leadership: Leadership,
    task: JoinHandle<Result<(), Error>>,
    stop: DropGuard,
}

impl Election {
    /// Starts to stand for election. The client must not retry: see [`amigo_runtime::kubernetes::client_no_retry`].
    ///
    /// # Errors
    /// When the times of `options` contradict each other.
    pub fn start(client: Client, clock: SharedClock, options: Options) -> Result<Self, Error> {
        options.check()?;
        let candidate = Candidate::new(client, clock, options);
        let (sender, receiver) = watch::channel(None);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(candidate, sender, stop.clone()));
        Ok(Self { leadership: Leadership { term: receiver }, task, stop: stop.drop_guard() })
    }

    /// Who leads, as this replica knows it; handed around freely.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Cancels the term, if any, and releases the lease. Call it when the controllers have come to rest.
    ///
    /// # Errors
    /// When the lease could not be released: others then wait for it to run out.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { leadership: _, task, stop } = self;
        drop(stop);
        task.await.map_err(Error::Task)?
    }
}

/// Whether this replica leads.
#[derive(Clone, Debug)]
pub struct Leadership {
    term: watch::Receiver<Option<CancellationToken>>,
}

impl Leadership {
    /// Waits until this replica leads; the token is cancelled when it no longer does. `None`: the election is over.
    pub async fn won(&mut self) -> Option<CancellationToken> {
        self.term.wait_for(|term| is_live(term.as_ref())).await.ok()?.clone()
    }

    /// Whether this replica leads now.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        is_live(self.term.borrow().as_ref())
    }
}

/// Why there is no election, or no orderly end of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict each other.
    #[error("leader election: {0}")]
    Options(&'static str),
    /// A request about the lease failed.
    #[error("cannot {verb} lease {namespace}/{name}: {source}")]
    Lease {
        /// What was tried.
        verb: &'static str,
        /// The lease's namespace.
        namespace: String,
        /// The lease's name.
        name: String,
        /// What the API server, or the way to it, said.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("no answer about the lease within {0:?}")]
    Deadline(Duration),
    /// The election's task ended early.
    #[error("the leader election ended early: {0}")]
    Task(tokio::task::JoinError),
}

fn is_live(term: Option<&CancellationToken>) -> bool {
    term.is_some_and(|term| !term.is_cancelled())
}

type Terms = watch::Sender<Option<CancellationToken>>;

async fn run(mut candidate: Candidate, terms: Terms, stop: CancellationToken) -> Result<(), Error> {
    while let Some(renewed) = stop.run_until_cancelled(campaign(&mut candidate)).await {
        let term = CancellationToken::new();
        // Whatever ends this task ends the term.
        let ends_term = term.clone().drop_guard();
        terms.send_replace(Some(term));
        tracing::info!(identity = candidate.options.identity, "this replica leads");
        let lost = stop.run_until_cancelled(reign(&mut candidate, renewed)).await;
        drop(ends_term);
        terms.send_replace(None);
        if let Some(reason) = lost {
            tracing::warn!(identity = candidate.options.identity, reason, "this replica no longer leads");
        }
    }
    let within = candidate.options.renew_deadline;
    time::timeout(within, candidate.release()).await.unwrap_or(Err(Error::Deadline(within)))
}

/// Stands for election until it is won; gives the boot time at which the winning step began.
async fn campaign(candidate: &mut Candidate) -> Duration {
    loop {
        let began = candidate.boot();
        match time::timeout(candidate.options.renew_deadline, candidate.step()).await {
            Ok(Ok(LeaseStatus::Leading)) => return began,
            Ok(Ok(LeaseStatus::Following)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot stand for election; trying again"),
            Err(_) => tracing::warn!("no answer about the lease; trying again"),
        }
        let jitter = 1.0 + rand::rng().random_range(0.0..RETRY_JITTER);
        time::sleep(candidate.options.retry_period.mul_f64(jitter)).await;
    }
}

/// Renews until that fails for too long, or somebody else leads; gives the reason.
async fn reign(candidate: &mut Candidate, mut renewed: Duration) -> &'static str {
    loop {
        let left = time_left(candidate, renewed);
        time::sleep(left.min(candidate.options.retry_period)).await;
        let began = candidate.boot();
        let left = time_left(candidate, renewed);
        // A step that fails at once would beat even a timeout of zero, again and again.
        if left.is_zero() {
            return "the lease could not be renewed in time";
        }
        match time::timeout(left, candidate.step()).await {
            Ok(Ok(LeaseStatus::Leading)) => renewed = began,
            Ok(Ok(LeaseStatus::Following)) => return "another replica holds or changed the lease",
            Ok(Err(error)) => tracing::warn!(%error, "cannot renew the lease; trying again"),
            Err(_) => {}
        }
    }
}

fn time_left(candidate: &Candidate, renewed: Duration) -> Duration {
    let since = candidate.boot().saturating_sub(renewed);
    candidate.options.renew_deadline.saturating_sub(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_times_fit_together() {
        assert!(Options::new("amigo", "operator", "me").check().is_ok());
    }

    #[test]
    fn times_that_let_two_lead_are_refused() {
        let mut options = Options::new("amigo", "operator", "me");
        options.renew_deadline = options.lease_duration;
        assert!(options.check().is_err());
    }

    #[test]
    fn identities_of_one_host_differ() {
        assert_ne!(unique_identity("pod-0"), unique_identity("pod-0"));
    }
}
