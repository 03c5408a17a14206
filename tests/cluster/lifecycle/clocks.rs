//! Clocks of Amigo that run ten minutes ahead of the operator's, or behind.

use std::sync::Arc;

use amigo_runtime::clock::{Clock as _, SystemClock, TestClock};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use test_support::{Limits, TIMEOUT, TestEnv, eventually, grant};

const BRIEF: &str = "  duration: PT5M\n  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn clock_ahead_is_adopted() {
    adopts("ahead", SignedDuration::from_mins(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_behind_is_adopted() {
    adopts("behind", SignedDuration::from_mins(-10)).await;
}

/// The request lasts five minutes by Amigo's clock, counts as live, and its early deletion is told with its end.
async fn adopts(prefix: &str, offset: SignedDuration) {
    let clock = TestClock::running();
    clock.set_wall(SystemClock.now() + offset);
    let env = TestEnv::builder(prefix).sandbox(Limits::Lifted, |_| ()).clock(Arc::new(clock)).operator().start().await;
    env.connect("").await;
    env.until_ready("amorg", &env.organization).await;
    env.apply(&grant("request", BRIEF)).await;
    env.until_reason("tpg", "request", "Ready", "Active").await;
    let until = env.member("tpg", "request", "/status/expiresAt").await;
    let end: Timestamp = until.as_str().expect("a time").parse().expect("a timestamp");
    let left = (SystemClock.now() + offset).duration_until(end);
    assert!(left > SignedDuration::from_mins(4) && left <= SignedDuration::from_mins(5), "{left:?}");
    let counted = json!({"active": 3, "managed": 3, "orphaned": 0, "unmanaged": 0});
    env.until_member("amorg", &env.organization, "/status/grants", counted).await;
    env.delete("tpg", "request").await;
    let line = eventually(TIMEOUT, "the deletion is told", || async {
        env.audit("request").await.into_iter().find(|line| line["event"] == "DeletedWhileLive")
    });
    assert_eq!(line.await["until"], until);
}
