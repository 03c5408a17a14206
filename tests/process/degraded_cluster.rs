//! An API server that does not give the operator everything: kinds that are not installed, a Secret it may not read.

use std::time::Duration;

use amigo_api::TemporaryPermissionGrant;
use amigo_dev::{ControlPlane, Identity, Options};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, CustomResourceExt as _, ResourceExt as _,
    api::{Patch, PatchParams},
};
use test_support::{
    OPERATOR, assets, eventually, fixture, install_crds,
    operator_process::{CALL_DEADLINE, OperatorProcess, free_port},
    turn,
};

const TIMEOUT: Duration = Duration::from_secs(20);

async fn plane(groups: &[&str]) -> ControlPlane {
    let options = Options { identities: vec![Identity::new(OPERATOR, groups)], ..Options::default() };
    ControlPlane::start_with(assets().await, options).await.expect("a control plane")
}

fn apply(plane: &ControlPlane, file: &str) {
    test_support::kubectl_with(plane, &["apply", "--filename=-"], &fixture(file, &[])).expect(file);
}

/// Waits until an object's Ready has this reason, and returns its message.
async fn until_reason(plane: &ControlPlane, object: &str, reason: &str) -> String {
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')]['reason','message']}";
    eventually(TIMEOUT, &format!("{object} is not ready for {reason}"), || async {
        let shown = test_support::kubectl(plane, &["get", object, "--output", ready]);
        shown.stdout.strip_prefix(reason).map(str::to_owned)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_without_crds_stops_on_sigterm() {
    let _turn = turn().await;
    let plane = plane(&["system:masters"]).await;
    let mut operator = OperatorProcess::start(&plane, &["--no-leader-election"]);
    eventually(TIMEOUT, "it serves", || async { (!operator.page("/readyz").await.is_empty()).then_some(()) }).await;
    // Its watches fail meanwhile.
    tokio::time::sleep(Duration::from_secs(2)).await;
    operator.terminate();
    let status = operator.ended(CALL_DEADLINE + Duration::from_secs(2)).await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_secret_is_reported_until_readable() {
    let _turn = turn().await;
    let plane = plane(&["operators"]).await;
    install_crds(&plane.client().await.expect("a client")).await;
    apply(&plane, "operator-rbac-without-secrets.yaml");
    apply(&plane, "unreachable-organization.yaml");
    let _operator = OperatorProcess::start(&plane, &["--no-leader-election"]);
    let why = until_reason(&plane, "organizations/acme", "SecretUnreadable").await;
    assert!(why.contains("default/acme") && why.contains("allow the operator's ServiceAccount"), "{why}");
    let why = until_reason(&plane, "temporarypermissiongrants/request", "OrganizationNotReady").await;
    assert!(why.contains("cannot read Secret"), "{why}");
    apply(&plane, "operator-rbac-secrets.yaml");
    until_reason(&plane, "organizations/acme", "SecretNotFound").await;
}

/// The CRD of grants as before a status field of the intent.
async fn downgrade_grants(client: &Client) {
    let mut crd = TemporaryPermissionGrant::crd();
    let schema = crd.spec.versions[0].schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
    let status = schema.and_then(|schema| schema.properties.as_mut()?.get_mut("status")).expect("a status");
    let intent = status.properties.as_mut().and_then(|fields| fields.get_mut("intent")).expect("an intent");
    assert!(intent.properties.as_mut().is_some_and(|fields| fields.remove("nonce").is_some()));
    intent.required.as_mut().expect("required fields").retain(|field| field != "nonce");
    let (crds, name) = (Api::<CustomResourceDefinition>::all(client.clone()), crd.name_any());
    crds.patch(&name, &PatchParams::apply("an-older-version").force(), &Patch::Apply(&crd)).await.expect("a CRD");
}

#[tokio::test(flavor = "multi_thread")]
async fn outdated_crd_blocks_grants_until_its_upgrade() {
    let _turn = turn().await;
    let plane = plane(&["system:masters"]).await;
    let client = plane.client().await.expect("a client");
    install_crds(&client).await;
    downgrade_grants(&client).await;
    apply(&plane, "unreachable-organization.yaml");
    let _operator = OperatorProcess::start(&plane, &["--no-leader-election"]);
    let why = until_reason(&plane, "temporarypermissiongrants/request", "CRDOutdated").await;
    assert!(why.contains("status.intent.nonce"), "{why}");
    install_crds(&client).await;
    until_reason(&plane, "temporarypermissiongrants/request", "OrganizationNotReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_serves_both_address_families() {
    let _turn = turn().await;
    let plane = plane(&["system:masters"]).await;
    // The last of a repeated flag counts, as of `extraArgs` after the chart's own.
    let listen = format!("--listen=[::]:{}", free_port());
    let operator = OperatorProcess::start(&plane, &["--no-leader-election", "--listen=192.0.2.1:1", &listen]);
    let port: u16 = listen.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    for address in ["127.0.0.1", "::1"] {
        let connect = || async { tokio::net::TcpStream::connect((address, port)).await.ok() };
        eventually(TIMEOUT, address, connect).await;
    }
    drop(operator);
}
