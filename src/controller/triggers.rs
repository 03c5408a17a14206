//! Reconciles that no watch of the objects themselves triggers.

use futures::{Stream, stream};
use tokio::sync::watch;

/// Reconciles all objects of one kind. Several pulls at once count as one.
#[derive(Debug)]
pub struct Trigger(watch::Sender<u64>);

impl Trigger {
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub fn pull(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// An item after one or more pulls.
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

#[derive(Debug, Default)]
pub struct Triggers {
    /// After a change of a Secret, a sweep, or rejected credentials.
    pub organizations: Trigger,
    /// After a change of an Organization, or the deletion of a Role with the same remote name.
    pub roles: Trigger,
    /// After a change of an Organization or a Role, or the deletion of another assignment.
    pub assignments: Trigger,
    /// After a change of an Organization.
    pub grants: Trigger,
}

impl Triggers {
    /// Reconciles every object that uses an Organization.
    pub fn organization_changed(&self) {
        self.roles.pull();
        self.assignments.pull();
        self.grants.pull();
    }
}
