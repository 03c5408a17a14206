//! The CRDs of the tests.

use std::time::Duration;

use amigo_api::TemporaryPermissionGrant;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, CustomResourceExt as _, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{conditions, wait::await_condition},
};
use tokio::time::timeout;

const FIELD_MANAGER: &str = "test";

/// Installs the CRDs, or does nothing where they are.
pub async fn install_crds(client: &Client) {
    for definition in amigo_api::all() {
        install(client, &definition).await;
        let name = definition.name_any();
        let established = await_condition(Api::all(client.clone()), &name, conditions::is_crd_established());
        timeout(Duration::from_secs(20), established).await.expect("in time").expect("established");
    }
}

/// Allows leases that a test can wait for: no shortest `revokeWithin` of grants.
pub async fn allow_short_leases(client: &Client) {
    let mut definition = TemporaryPermissionGrant::crd();
    let schema = definition.spec.versions[0].schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
    let spec = schema.and_then(|schema| schema.properties.as_mut()?.get_mut("spec")).expect("a spec");
    let within = spec.properties.as_mut().and_then(|fields| fields.get_mut("revokeWithin")).expect("a field");
    assert!(within.x_kubernetes_validations.take().is_some());
    install(client, &definition).await;
}

async fn install(client: &Client, definition: &CustomResourceDefinition) {
    let (api, name) = (Api::<CustomResourceDefinition>::all(client.clone()), definition.name_any());
    api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(definition)).await.expect("accepted");
}
