//! Combines many look-ups into one request.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

use super::{rate_limiter::Permit, session::Session};
use crate::{Cause, Endpoint, Error};

/// How look-ups are batched and cached.
#[derive(Clone, Copy, Debug)]
pub struct LookupOptions {
    /// How long the first look-up waits for others.
    pub window: Duration,
    /// How long to cache the owner of a conversation and the user of an email address; zero disables the cache.
    pub cache_for: Duration,
}

impl Default for LookupOptions {
    fn default() -> Self {
        Self { window: Duration::from_millis(20), cache_for: Duration::from_mins(1) }
    }
}

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) keys: usize,
    pub(super) bytes: usize,
}

/// Requests the values of keys; a key without a value is absent.
pub(super) type Fetch<V> =
    fn(Arc<Session>, Vec<String>, Permit) -> BoxFuture<'static, Result<BTreeMap<String, V>, Error>>;

/// Batches look-ups of one kind.
///
/// # Expected flow
/// The first look-up opens a batch. The batch is sent when the window has passed or the batch is full, and the rate
/// limiter admits it; look-ups until then join it.
///
/// # Guarantees
/// A batch contains a key once. A batch that the server rejects as invalid (400, 414, 422, 431) is halved until only the
/// invalid keys fail. A key without waiting callers is not sent. All callers of a batch share its error.
///
/// # Caveats
/// Only values that exist are cached. An absent and an invisible object look alike.
pub(super) struct Batcher<V> {
    shared: Arc<Shared<V>>,
}

struct Shared<V> {
    session: Arc<Session>,
    endpoint: Endpoint,
    capacity: Capacity,
    options: LookupOptions,
    fetch: Fetch<V>,
    waiting: Mutex<Waiting<V>>,
    full: Notify,
    cache: Mutex<HashMap<String, (V, Duration)>>,
}

struct Waiting<V> {
    order: VecDeque<String>,
    callers: HashMap<String, Vec<oneshot::Sender<LookupResult<V>>>>,
    bytes: usize,
    open: bool,
}

type LookupResult<V> = Result<Option<V>, Error>;

impl<V: Clone + Send + Sync + 'static> Batcher<V> {
    pub(super) fn new(
        session: Arc<Session>,
        endpoint: Endpoint,
        capacity: Capacity,
        options: LookupOptions,
        fetch: Fetch<V>,
    ) -> Self {
        let waiting = Mutex::new(Waiting { order: VecDeque::new(), callers: HashMap::new(), bytes: 0, open: false });
        let (full, cache) = (Notify::new(), Mutex::default());
        Self { shared: Arc::new(Shared { session, endpoint, capacity, options, fetch, waiting, full, cache }) }
    }

    /// The server's value for `key`.
    pub(super) async fn look_up(&self, key: String) -> LookupResult<V> {
        let shared = &self.shared;
        if let Some(error) = shared.session.tokens.rejection(shared.endpoint) {
            return Err(error);
        }
        if let Some(value) = shared.cached(&key) {
            return Ok(Some(value));
        }
        let (caller, result) = oneshot::channel();
        let (full, first) = shared.join(key, caller);
        if first {
            tokio::spawn(send_batches(Arc::clone(shared)));
        } else if full {
            shared.full.notify_one();
        }
        result.await.unwrap_or_else(|_| {
            let detail = "the look-up was canceled".into();
            Err(Error::new(shared.endpoint, Cause::Interrupted { detail, begun: false }))
        })
    }
}

impl<V: Clone> Shared<V> {
    /// Adds a caller to the batch; returns whether the batch is full, and whether this opened it.
    fn join(&self, key: String, caller: oneshot::Sender<LookupResult<V>>) -> (bool, bool) {
        let mut waiting = self.waiting();
        let waiting = &mut *waiting;
        let callers = waiting.callers.entry(key.clone()).or_default();
        if callers.is_empty() {
            waiting.bytes += key.len();
            waiting.order.push_back(key);
        }
        callers.push(caller);
        (self.is_full(waiting), !std::mem::replace(&mut waiting.open, true))
    }

    fn is_full(&self, waiting: &Waiting<V>) -> bool {
        waiting.order.len() >= self.capacity.keys || waiting.bytes >= self.capacity.bytes
    }

    /// Takes the oldest keys that fit into one request.
    fn take(&self) -> Batch<V> {
        let mut waiting = self.waiting();
        let waiting = &mut *waiting;
        let mut batch = Batch::new();
        let mut bytes = 0;
        while batch.len() < self.capacity.keys {
            let Some(length) = waiting.order.front().map(String::len) else { break };
            if bytes + length > self.capacity.bytes && !batch.is_empty() {
                break;
            }
            let Some(key) = waiting.order.pop_front() else { break };
            waiting.bytes -= length;
            let mut callers = waiting.callers.remove(&key).unwrap_or_default();
            callers.retain(|caller| !caller.is_closed());
            if !callers.is_empty() {
                bytes += length;
                batch.push((key, callers));
            }
        }
        batch
    }

    fn cached(&self, key: &str) -> Option<V> {
        let now = self.session.sender.clock.boot();
        let cache = self.cache();
        cache.get(key).filter(|(_, until)| now < *until).map(|(value, _)| value.clone())
    }

    fn remember(&self, key: String, value: V) {
        if self.options.cache_for.is_zero() {
            return;
        }
        let now = self.session.sender.clock.boot();
        let mut cache = self.cache();
        // Drop expired entries only when the map would grow, not on every write.
        if cache.len() == cache.capacity() {
            cache.retain(|_, (_, until)| now < *until);
        }
        cache.insert(key, (value, now + self.options.cache_for));
    }

    // Both are consistent between any two statements, so a panic elsewhere cannot have damaged them.
    fn waiting(&self) -> MutexGuard<'_, Waiting<V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<String, (V, Duration)>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> fmt::Debug for Batcher<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batcher").field("endpoint", &self.shared.endpoint).finish_non_exhaustive()
    }
}

type Batch<V> = Vec<(String, Vec<oneshot::Sender<LookupResult<V>>>)>;

/// Sends batches until no caller waits. A task of its own, so that a caller that stops waiting affects no other.
async fn send_batches<V: Clone + Send + Sync + 'static>(shared: Arc<Shared<V>>) {
    loop {
        if !shared.is_full(&shared.waiting()) {
            tokio::select! {
                () = tokio::time::sleep(shared.options.window) => {}
                () = shared.full.notified() => {}
            }
        }
        let permit = shared.session.sender.rate_limiter.acquire(shared.endpoint).await;
        let batch = shared.take();
        if !batch.is_empty() {
            tokio::spawn(resolve(Arc::clone(&shared), batch, permit));
        }
        let mut waiting = shared.waiting();
        if waiting.order.is_empty() {
            waiting.open = false;
            return;
        }
    }
}

/// Looks up a batch, in halves if the server rejects it as invalid.
async fn resolve<V: Clone + Send + Sync + 'static>(shared: Arc<Shared<V>>, batch: Batch<V>, permit: Permit) {
    let mut permit = Some(permit);
    let mut batches = vec![batch];
    while let Some(mut batch) = batches.pop() {
        let permit = match permit.take() {
            Some(permit) => permit,
            None => shared.session.sender.rate_limiter.acquire(shared.endpoint).await,
        };
        let keys = batch.iter().map(|(key, _)| key.clone()).collect();
        match (shared.fetch)(Arc::clone(&shared.session), keys, permit).await {
            Ok(values) => deliver(&shared, batch, values),
            Err(error) if batch.len() > 1 && matches!(error.status(), Some(400 | 414 | 422 | 431)) => {
                let second = batch.split_off(batch.len() / 2);
                batches.extend([second, batch]);
            }
            Err(error) => {
                for caller in batch.into_iter().flat_map(|(_, callers)| callers) {
                    // The caller may have stopped waiting.
                    caller.send(Err(error.clone())).ok();
                }
            }
        }
    }
}

fn deliver<V: Clone>(shared: &Shared<V>, batch: Batch<V>, mut values: BTreeMap<String, V>) {
    for (key, callers) in batch {
        let value = values.remove(&key);
        for caller in callers {
            // The caller may have stopped waiting.
            caller.send(Ok(value.clone())).ok();
        }
        if let Some(value) = value {
            shared.remember(key, value);
        }
    }
}
