//! Many look-ups, one call.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

use super::{Cause, Endpoint, Error, budgets::Permit, call::Core};

/// How look-ups are gathered and remembered.
#[derive(Clone, Copy, Debug)]
pub struct LookupOptions {
    /// How long the first look-up waits for company.
    pub window: Duration,
    /// How long the owner of a conversation and the id of an e-mail address are remembered; zero for not at all.
    pub remember: Duration,
}

impl Default for LookupOptions {
    fn default() -> Self {
        Self { window: Duration::from_millis(20), remember: Duration::from_mins(1) }
    }
}

/// The most keys and the most bytes of keys in one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) keys: usize,
    pub(super) bytes: usize,
}

/// Asks the server for keys; what it does not name is absent.
pub(super) type Fetch<V> = fn(Arc<Core>, Vec<String>, Permit) -> BoxFuture<'static, Result<BTreeMap<String, V>, Error>>;

/// Gathers look-ups of one kind into few calls.
///
/// # Expected flow
/// The first look-up opens a batch. It is called when the window has passed or the batch is full, and when the budget
/// has its turn; whatever arrives until then joins.
///
/// # Guarantees
/// A key is asked once a batch. A batch that the server calls invalid (400, 414, 422, 431) is halved until only the
/// guilty keys fail. Keys nobody waits for any more are not asked.
///
/// # Assumptions
/// The answer depends on nothing but the key.
///
/// # Caveats
/// Only what was found is remembered. Absent and invisible look alike.
///
/// # Errors
/// Those of the call, shared by all whose key was in it.
pub(super) struct Batcher<V> {
    shared: Arc<Shared<V>>,
}

struct Shared<V> {
    core: Arc<Core>,
    endpoint: Endpoint,
    capacity: Capacity,
    window: Duration,
    remember: Duration,
    fetch: Fetch<V>,
    waiting: Mutex<Waiting<V>>,
    full: Notify,
    remembered: Mutex<HashMap<String, (V, Duration)>>,
}

struct Waiting<V> {
    order: VecDeque<String>,
    callers: HashMap<String, Vec<oneshot::Sender<Found<V>>>>,
    bytes: usize,
    gathering: bool,
}

type Found<V> = Result<Option<V>, Error>;

impl<V: Clone + Send + Sync + 'static> Batcher<V> {
    pub(super) fn new(
        core: Arc<Core>,
        endpoint: Endpoint,
        capacity: Capacity,
        window: Duration,
        remember: Duration,
        fetch: Fetch<V>,
    ) -> Self {
        let waiting =
            Mutex::new(Waiting { order: VecDeque::new(), callers: HashMap::new(), bytes: 0, gathering: false });
        let (full, remembered) = (Notify::new(), Mutex::default());
        Self {
            shared: Arc::new(Shared { core, endpoint, capacity, window, remember, fetch, waiting, full, remembered }),
        }
    }

    /// What the server has for `key`.
    pub(super) async fn ask(&self, key: String) -> Found<V> {
        let shared = &self.shared;
        if let Some(error) = shared.core.tokens.refused(shared.endpoint) {
            return Err(error);
        }
        if let Some(value) = shared.recall(&key) {
            return Ok(Some(value));
        }
        let (caller, answer) = oneshot::channel();
        let (full, first) = shared.join(key, caller);
        if first {
            tokio::spawn(gather(Arc::clone(shared)));
        } else if full {
            shared.full.notify_one();
        }
        answer.await.unwrap_or_else(|_| {
            let detail = "the look-up was abandoned".into();
            Err(Error::new(shared.endpoint, Cause::Interrupted { detail, begun: false }))
        })
    }
}

impl<V: Clone> Shared<V> {
    /// Puts a caller into the batch; says whether the batch is full, and whether this opened it.
    fn join(&self, key: String, caller: oneshot::Sender<Found<V>>) -> (bool, bool) {
        let mut waiting = self.waiting();
        let waiting = &mut *waiting;
        let callers = waiting.callers.entry(key.clone()).or_default();
        if callers.is_empty() {
            waiting.bytes += key.len();
            waiting.order.push_back(key);
        }
        callers.push(caller);
        (self.is_full(waiting), !std::mem::replace(&mut waiting.gathering, true))
    }

    fn is_full(&self, waiting: &Waiting<V>) -> bool {
        waiting.order.len() >= self.capacity.keys || waiting.bytes >= self.capacity.bytes
    }

    /// Takes the longest-waiting keys that fit into one call.
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

    fn recall(&self, key: &str) -> Option<V> {
        let now = self.core.clock.boot();
        let remembered = self.remembered();
        remembered.get(key).filter(|(_, until)| now < *until).map(|(value, _)| value.clone())
    }

    fn remember(&self, key: String, value: V) {
        if self.remember.is_zero() {
            return;
        }
        let now = self.core.clock.boot();
        let mut remembered = self.remembered();
        // Forgetting is cheap enough to be done when the memory has doubled, not on every write.
        if remembered.len() == remembered.capacity() {
            remembered.retain(|_, (_, until)| now < *until);
        }
        remembered.insert(key, (value, now + self.remember));
    }

    // Both are whole between any two statements, so a panic elsewhere cannot have spoilt them.
    fn waiting(&self) -> MutexGuard<'_, Waiting<V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<String, (V, Duration)>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> fmt::Debug for Batcher<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batcher").field("endpoint", &self.shared.endpoint).finish_non_exhaustive()
    }
}

type Batch<V> = Vec<(String, Vec<oneshot::Sender<Found<V>>>)>;

/// Calls batch after batch until nobody waits. A task of its own, so that a caller that gives up hurts no other.
async fn gather<V: Clone + Send + Sync + 'static>(shared: Arc<Shared<V>>) {
    loop {
        if !shared.is_full(&shared.waiting()) {
            tokio::select! {
                () = tokio::time::sleep(shared.window) => {}
                () = shared.full.notified() => {}
            }
        }
        let permit = shared.core.budgets.acquire(shared.endpoint).await;
        let batch = shared.take();
        if !batch.is_empty() {
            tokio::spawn(answer(Arc::clone(&shared), batch, permit));
        }
        let mut waiting = shared.waiting();
        if waiting.order.is_empty() {
            waiting.gathering = false;
            return;
        }
    }
}

/// Answers a batch, in halves if the server calls it invalid.
async fn answer<V: Clone + Send + Sync + 'static>(shared: Arc<Shared<V>>, batch: Batch<V>, permit: Permit) {
    let mut permit = Some(permit);
    let mut batches = vec![batch];
    while let Some(mut batch) = batches.pop() {
        let permit = match permit.take() {
            Some(permit) => permit,
            None => shared.core.budgets.acquire(shared.endpoint).await,
        };
        let keys = batch.iter().map(|(key, _)| key.clone()).collect();
        match (shared.fetch)(Arc::clone(&shared.core), keys, permit).await {
            Ok(found) => deliver(&shared, batch, found),
            Err(error) if batch.len() > 1 && matches!(error.status(), Some(400 | 414 | 422 | 431)) => {
                let second = batch.split_off(batch.len() / 2);
                batches.extend([second, batch]);
            }
            Err(error) => {
                for caller in batch.into_iter().flat_map(|(_, callers)| callers) {
                    // A caller that has gone needs no answer.
                    caller.send(Err(error.clone())).ok();
                }
            }
        }
    }
}

fn deliver<V: Clone>(shared: &Shared<V>, batch: Batch<V>, mut found: BTreeMap<String, V>) {
    for (key, callers) in batch {
        let value = found.remove(&key);
        for caller in callers {
            // A caller that has gone needs no answer.
            caller.send(Ok(value.clone())).ok();
        }
        if let Some(value) = value {
            shared.remember(key, value);
        }
    }
}
