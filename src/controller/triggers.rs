//! Reconciles that no watch of the objects themselves triggers.

use std::collections::BTreeSet;

use amigo_api::Organization;
use futures::{Stream, StreamExt as _, stream};
use kube::runtime::reflector::ObjectRef;
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

/// Reconciles Organizations by name. Several pulls for one at once count as one.
#[derive(Debug)]
pub struct NamedTrigger {
    pulled: watch::Sender<BTreeSet<String>>,
}

impl NamedTrigger {
    pub fn pull(&self, name: &str) {
        self.pulled.send_modify(|names| names.extend([name.to_owned()]));
    }

    /// Every pulled Organization, once for all its pulls since it was last taken.
    pub fn pulls(&self) -> impl Stream<Item = ObjectRef<Organization>> + Send + 'static {
        let batches =
            stream::unfold((self.pulled.subscribe(), self.pulled.clone()), |(mut receiver, pulled)| async move {
                receiver.wait_for(|names| !names.is_empty()).await.ok()?;
                let mut names = BTreeSet::new();
                pulled.send_if_modified(|pending| {
                    names = std::mem::take(pending);
                    false
                });
                Some((names, (receiver, pulled)))
            });
        batches.flat_map(|names| stream::iter(names.into_iter().map(|name| ObjectRef::new(&name))))
    }
}

impl Default for NamedTrigger {
    fn default() -> Self {
        Self { pulled: watch::Sender::new(BTreeSet::new()) }
    }
}

#[derive(Debug, Default)]
pub struct Triggers {
    /// After a change of its Secret, its sweep, a recount of its grants, rejected credentials, or the deletion of an older
    /// Organization with the same remote organization.
    pub organizations: NamedTrigger,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_named_organizations_are_reconciled() {
        let trigger = NamedTrigger::default();
        let mut pulls = Box::pin(trigger.pulls());
        for name in ["second", "first", "first"] {
            trigger.pull(name);
        }
        let names = [pulls.next().await.unwrap().name, pulls.next().await.unwrap().name];
        assert_eq!(names, ["first", "second"]);
        trigger.pull("third");
        assert_eq!(pulls.next().await.unwrap().name, "third");
    }
}
