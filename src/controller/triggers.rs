//! Reasons to look at objects again that no watch of those objects shows.

use futures::{Stream, stream};
use tokio::sync::watch;

/// "Look at all objects of this kind again." Several at once count as one.
#[derive(Debug)]
pub struct Trigger(watch::Sender<u64>);

impl Trigger {
    /// A trigger that nobody pulled yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Pulls it.
    pub fn pull(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// One item each time it was pulled since the last item.
    pub fn pulls(&self) -> impl Stream<Item = ()> + Send + 'static {
        stream::unfold(self.0.subscribe(), |mut receiver| async move {
            receiver.changed().await.ok()?;
            Some(((), receiver))
        })
    }
}

impl Default for Trigger {
    fn default() -> Self {
        Self::new()
    }
}

/// The triggers of all kinds.
#[derive(Debug, Default)]
pub struct Triggers {
    /// A Secret, a sweep or refused credentials concern an Organization.
    pub organizations: Trigger,
    /// An Organization changed what roles may do, or a role with the same name went.
    pub roles: Trigger,
    /// The same for assignments; also when a Role became ready.
    pub assignments: Trigger,
    /// An Organization changed what grants may do.
    pub grants: Trigger,
}

impl Triggers {
    /// An Organization changed: whatever uses it looks again.
    pub fn organization_changed(&self) {
        self.roles.pull();
        self.assignments.pull();
        self.grants.pull();
    }
}
