//! The status of an Organization, a Role or a RoleAssignment: its conditions and their remedies.

use amigo_api::{Kind, Role, RoleAssignment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{
    events::add_events,
    facts::Fact,
    report::{StatusReport, condition_reports, operator_missing, remedies},
};
use crate::{Failure, Session, kubernetes::Kubernetes, output};

/// Reports on an object that is not a request.
///
/// # Errors
/// When the object does not exist, or the caller may not read it.
pub async fn report(
    kind: Kind,
    kubernetes: &Kubernetes,
    name: &str,
    session: &mut Session,
) -> Result<StatusReport, Failure> {
    match kind {
        Kind::Organization | Kind::TemporaryPermissionGrant => {
            let object = kubernetes.organization(name).await?;
            let conditions = object.status.as_ref().map(|status| status.conditions.clone());
            let text = format!("{} at {}", object.spec.organization, object.spec.api_url);
            Ok(complete(kind, &object, (Fact { about: "Connects to", text }, conditions), kubernetes, session).await)
        }
        Kind::Role => {
            let object: Role = get(kubernetes, name).await?;
            let conditions = object.status.as_ref().map(|status| status.conditions.clone());
            let organization = Fact { about: "Organization", text: object.spec.organization_ref.name.clone() };
            Ok(complete(kind, &object, (organization, conditions), kubernetes, session).await)
        }
        Kind::RoleAssignment => {
            let object: RoleAssignment = get(kubernetes, name).await?;
            let conditions = object.status.as_ref().map(|status| status.conditions.clone());
            let user = Fact { about: "User", text: object.spec.user.label().to_owned() };
            Ok(complete(kind, &object, (user, conditions), kubernetes, session).await)
        }
    }
}

async fn get<K>(kubernetes: &Kubernetes, name: &str) -> Result<K, Failure>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let kind = K::kind(&());
    let found = kubernetes.api::<K>().get_opt(name).await;
    found.map_err(|error| Failure::from_kube(&format!("read {kind} {name}"), &error))?.ok_or_else(|| {
        Failure::failed(format!("{kind} {name} does not exist in namespace {}", kubernetes.namespace))
            .advise(format!("to list all, run `kubectl get {} -A`", K::plural(&())))
    })
}

async fn complete<K>(
    kind: Kind,
    object: &K,
    (fact, conditions): (Fact, Option<Vec<Condition>>),
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> StatusReport
where
    K: Resource<DynamicType = ()>,
{
    let namespace = object.namespace().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
    let name = Fact { about: "Object", text: format!("{} {}{namespace}", K::kind(&()), object.name_any()) };
    let conditions = conditions.unwrap_or_default();
    let remedies = if conditions.is_empty() {
        vec![operator_missing("object", &session.options.operator_namespace)]
    } else {
        remedies(kind, &conditions)
    };
    let mut report = StatusReport {
        object: output::name(object),
        facts: vec![name, fact],
        permissions: Vec::new(),
        conditions: condition_reports(&conditions),
        remedies,
        if_deleted: None,
        events: Vec::new(),
    };
    add_events(&mut report, object, kubernetes, session).await;
    report
}
