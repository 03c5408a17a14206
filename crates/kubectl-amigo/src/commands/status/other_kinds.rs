//! The status of an Organization, a Role or a RoleAssignment, or of an unreadable object: its conditions and their
//! remedies.

use amigo_api::{
    Kind, Organization, Role, RoleAssignment, Stored, TemporaryPermissionGrant, Unreadable, conditions, reasons,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{
    events::add_events,
    facts::Fact,
    report::{StatusReport, condition_reports, operator_missing, remedies},
};
use crate::{Failure, Session, kubernetes::Kubernetes, output};

/// What the report says about one kind: a fact, and the conditions.
type About = (Fact, Option<Vec<Condition>>);

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
    Ok(match kind {
        Kind::Organization | Kind::TemporaryPermissionGrant => {
            let stored = kubernetes.stored_organization(name).await?;
            report_on(kind, &stored, about_organization, kubernetes, session).await
        }
        Kind::Role => report_on(kind, &get(kubernetes, name).await?, about_role, kubernetes, session).await,
        Kind::RoleAssignment => {
            report_on(kind, &get(kubernetes, name).await?, about_assignment, kubernetes, session).await
        }
    })
}

/// Reports on a request that cannot be read.
pub async fn unreadable_request(
    unreadable: Unreadable,
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> StatusReport {
    let stored: Stored<TemporaryPermissionGrant> = Stored(Err(unreadable));
    let about =
        |object: &TemporaryPermissionGrant| (Fact { about: "User", text: object.spec.user.label().to_owned() }, None);
    report_on(Kind::TemporaryPermissionGrant, &stored, about, kubernetes, session).await
}

fn about_organization(object: &Organization) -> About {
    let text = format!("{} at {}", object.spec.organization, object.spec.api_url);
    (Fact { about: "Connects to", text }, object.status.as_ref().map(|status| status.conditions.clone()))
}

fn about_role(object: &Role) -> About {
    let text = object.spec.organization_ref.name.clone();
    (Fact { about: "Organization", text }, object.status.as_ref().map(|status| status.conditions.clone()))
}

fn about_assignment(object: &RoleAssignment) -> About {
    let text = object.spec.user.label().to_owned();
    (Fact { about: "User", text }, object.status.as_ref().map(|status| status.conditions.clone()))
}

async fn get<K>(kubernetes: &Kubernetes, name: &str) -> Result<Stored<K>, Failure>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let kind = K::kind(&());
    let found = kubernetes.api::<Stored<K>>().get_opt(name).await;
    found.map_err(|error| Failure::from_kube(&format!("read {kind} {name}"), &error))?.ok_or_else(|| {
        Failure::failed(format!("{kind} {name} does not exist in namespace {}", kubernetes.namespace))
            .advise(format!("to list all, run `kubectl get {} -A`", K::plural(&())))
    })
}

async fn report_on<K>(
    kind: Kind,
    object: &Stored<K>,
    about: impl FnOnce(&K) -> About,
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> StatusReport
where
    K: Resource<DynamicType = ()>,
{
    let namespace = object.namespace().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
    let mut facts = vec![Fact { about: "Object", text: format!("{} {}{namespace}", K::kind(&()), object.name_any()) }];
    let conditions = match &object.0 {
        Ok(object) => {
            let (fact, conditions) = about(object);
            facts.push(fact);
            conditions.unwrap_or_default()
        }
        Err(unreadable) => unreadable_conditions(unreadable),
    };
    let remedies = if conditions.is_empty() {
        vec![operator_missing("object", &session.options.operator_namespace)]
    } else {
        remedies(kind, &conditions)
    };
    let mut report = StatusReport {
        object: output::name(object),
        facts,
        permissions: Vec::new(),
        conditions: condition_reports(&conditions),
        remedies,
        if_deleted: None,
        events: Vec::new(),
    };
    add_events(&mut report, object, kubernetes, session).await;
    report
}

/// The operator cannot write a condition to such an object.
fn unreadable_conditions(unreadable: &Unreadable) -> Vec<Condition> {
    let change = conditions::Change {
        type_: reasons::condition::READY,
        status: conditions::ConditionStatus::Unknown,
        reason: reasons::UNREADABLE,
        message: unreadable.error.clone(),
    };
    let created = unreadable.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let generation = unreadable.metadata.generation.unwrap_or_default();
    let mut all = Vec::new();
    conditions::set(&mut all, change, conditions::Stamp { generation, now: created });
    all
}
