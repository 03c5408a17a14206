//! One installation from beginning to end, on whatever cluster there is: the version before, the sandbox, people with
//! the chart's roles, every kind's life, a leader that dies, an upgrade, the end.
//!
//! `make e2e` runs it where `KUBECONFIG` says, `make e2e-kind` on a kind cluster made for it, `make test` on a control
//! plane of its own. `E2E_IMAGE` and `E2E_SANDBOX_IMAGE` (`repository:tag`) and `E2E_PREVIOUS_CHART` (a folder) name what
//! to install.

pub mod cluster;
pub mod release;
pub mod running;

mod story;
mod users;

use story::Story;

#[tokio::test(flavor = "multi_thread")]
async fn installation_lifecycle() {
    let mut story = Story::begin().await;
    story.roles_are_kept_as_their_editor_writes_them().await;
    story.a_requester_gets_access_and_only_what_is_asked_for().await;
    story.nobody_goes_beyond_their_part();
    story.history_is_visible().await;
    story.another_replica_takes_over_from_a_dead_leader().await;
    story.an_upgrade_changes_nothing_that_stands().await;
    story.an_organization_can_be_suspended_and_its_key_replaced().await;
    story.deletion_follows_each_policy().await;
    story.a_namespace_goes_with_everything_in_it().await;
    story.expired_requests_are_gone().await;
    story.the_operator_was_refused_nothing();
    story.uninstalling_leaves_what_people_made().await;
}
