//! An API server whose responses get lost, whose watches lie, and which is away for a while.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation};
use http::{Method, StatusCode};
use kube::api::DeleteParams;
use test_support::{
    Limits, TestEnv, eventually,
    fault_proxy::{ApiFault, FaultProxy, WatchMode},
    operator_process::OperatorProcess,
};
use tokio::time::sleep;

const CREATE: Operation = Operation::CreateTemporaryPermissionGrant;
const GRANTS: &str = "/temporarypermissiongrants";
const SECOND: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_secs(20);

/// An operator behind a proxy.
struct Faulty {
    operator: OperatorProcess,
    proxy: FaultProxy,
    env: TestEnv,
}

async fn faulty(prefix: &str) -> Faulty {
    let env = TestEnv::exclusive(prefix, Limits::Lifted).await;
    let proxy = FaultProxy::start(env.plane()).await;
    let operator = env.operator_through(&proxy, &["--no-leader-election"]);
    Faulty { operator, proxy, env }
}

impl Faulty {
    /// Deletes a grant while the watch says nothing.
    async fn delete_unseen(&self, name: &str) {
        self.proxy.set_watch(WatchMode::Silent);
        self.env.grants().delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// The watch ends, and the operator lists again.
    fn list_again(&self) {
        self.proxy.set_watch(WatchMode::Faithful);
        self.proxy.expire_watches();
    }

    fn lines_about(&self, event: &str) -> usize {
        self.operator.audit().lines().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count()
    }

    /// How often the operator read a grant from the API server.
    fn reads(&self, name: &str) -> usize {
        let is_read = |verb: &str, of: &str| verb == "get" && of == name;
        self.env.audited().iter().filter(|request| is_read(&request.verb, &request.object_ref.name)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_responses_to_writes_issue_once() {
    let Faulty { operator: _operator, proxy, env } = faulty("lostwrites").await;
    let faults = [ApiFault::LostResponse, ApiFault::GatewayError(StatusCode::GATEWAY_TIMEOUT)];
    // The first write is the intent, the second one the result.
    for (number, fault) in faults.iter().enumerate().flat_map(|(number, fault)| [(number, fault), (number + 2, fault)])
    {
        let name = format!("grant-{number}");
        proxy.fail(Method::PUT, &format!("/{name}/status"), u32::from(number >= 2), fault.clone());
        env.create_grant(&name, 1, "PT1H").await;
    }
    env.assert_exactly_once(&env.until_active(4, WITHIN).await);
    assert_eq!(proxy.pending(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_response_to_an_intent_sends_nothing() {
    let Faulty { operator: _operator, proxy, env } = faulty("slowwrite").await;
    // Longer than the send window.
    proxy.fail(Method::PUT, "/slow/status", 0, ApiFault::Delayed(3 * SECOND));
    let grant = env.create_grant("slow", 1, "PT1H").await;
    env.assert_exactly_once(&env.until_active(1, WITHIN).await);
    let requests = env.sandbox().requests().log.into_iter().filter(|request| request.operation == Some(CREATE));
    let times: Vec<_> = requests.map(|request| request.at).collect();
    let created = grant.metadata.creation_timestamp.expect("a time").0;
    assert!(times.len() == 1 && created.duration_until(times[0]).as_secs() >= 3, "{times:?} after {created}");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_watch_is_listed_again() {
    let faulty = faulty("expired").await;
    faulty.env.create_grant("seen", 1, "PT1H").await;
    faulty.env.until_active(1, WITHIN).await;
    faulty.proxy.set_watch(WatchMode::Silent);
    faulty.env.create_grant("unseen", 1, "PT1H").await;
    sleep(SECOND).await;
    assert_eq!(faulty.env.issued().len(), 1);
    faulty.list_again();
    faulty.env.assert_exactly_once(&faulty.env.until_active(2, WITHIN).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn unseen_deletion_is_told_after_the_next_list() {
    let faulty = faulty("missed").await;
    faulty.env.create_grant("live", 1, "PT1H").await;
    faulty.env.until_active(1, WITHIN).await;
    faulty.delete_unseen("live").await;
    faulty.list_again();
    let told = || async { (faulty.lines_about("DeletedWhileLive") > 0).then_some(()) };
    eventually(WITHIN, "the deletion is told", told).await;
    sleep(SECOND).await;
    assert_eq!(faulty.lines_about("DeletedWhileLive"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_watch_events_issue_and_tell_once() {
    let faulty = faulty("repeated").await;
    faulty.proxy.set_watch(WatchMode::Repeating);
    faulty.env.create_grants(5, 1, "PT1H").await;
    faulty.env.assert_exactly_once(&faulty.env.until_active(5, WITHIN).await);
    let told = || async { (faulty.lines_about("Active") >= 5).then_some(()) };
    eventually(WITHIN, "each is told", told).await;
    sleep(SECOND).await;
    assert_eq!(faulty.lines_about("Active"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn unseen_deletion_stops_issuing() {
    let faulty = faulty("unseen").await;
    faulty.env.fail_always(CREATE, Effect::status(403));
    faulty.env.create_grant("held", 1, "PT1H").await;
    faulty.env.until_reason("tpg", "held", "Ready", "Forbidden").await;
    faulty.delete_unseen("held").await;
    faulty.env.sandbox().clear_faults();
    let read = faulty.reads("held");
    eventually(WITHIN, "it is tried again", || async { (faulty.reads("held") > read).then_some(()) }).await;
    sleep(SECOND).await;
    assert!(faulty.env.issued().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_list_issues_nothing_for_deleted_objects() {
    let env = TestEnv::exclusive("stale", Limits::Lifted).await;
    env.create_grant("gone", 1, "PT1H").await;
    let list = http::Request::get(format!("/apis/permissions.amigo.ai/v1alpha1{GRANTS}")).body(Vec::new());
    let list = env.client.request_text(list.expect("a request")).await.expect("a list");
    env.grants().delete("gone", &DeleteParams::default()).await.expect("deleted");
    let proxy = FaultProxy::start(env.plane()).await;
    proxy.fail(Method::GET, GRANTS, 0, ApiFault::Replaced(list));
    proxy.set_watch(WatchMode::Silent);
    let operator = env.operator_through(&proxy, &["--no-leader-election"]);
    let faulty = Faulty { operator, proxy, env };
    eventually(WITHIN, "it is tried", || async { (faulty.reads("gone") > 0).then_some(()) }).await;
    faulty.env.create_grant("new", 1, "PT1H").await;
    faulty.list_again();
    faulty.env.assert_exactly_once(&faulty.env.until_active(1, WITHIN).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_between_request_and_result_issues_once() {
    let Faulty { operator: _operator, proxy, env } = faulty("outage").await;
    env.sandbox().add_fault(Fault::new(CREATE, Effect::Delay { milliseconds: 1000 }).times(Some(3)));
    env.create_grants(3, 1, "PT1H").await;
    eventually(WITHIN, "requests", || async { (env.sandbox().requests().count(CREATE) >= 3).then_some(()) }).await;
    proxy.refuse_all();
    sleep(3 * SECOND).await;
    assert_eq!(env.issued().len(), 3);
    proxy.clear();
    env.assert_exactly_once(&env.until_active(3, WITHIN).await);
}
