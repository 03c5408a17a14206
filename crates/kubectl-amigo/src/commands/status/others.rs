//! The story of an Organization, a Role or a RoleAssignment: its conditions, and what to do about them.

use amigo_api::{Role, RoleAssignment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{
    add_events,
    story::{Fact, Story, remedies, told},
};
use crate::{Failure, Session, kubernetes::Kubernetes, output};

/// What can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request for access.
    Request,
    /// A connection.
    Organization,
    /// A role.
    Role,
    /// A user's role.
    RoleAssignment,
}

impl Kind {
    /// The kind and the name in `TYPE/NAME`; a name alone is a request's.
    ///
    /// # Errors
    /// When there is no such kind.
    pub fn of(object: &str) -> Result<(Self, &str), Failure> {
        let Some((kind, name)) = object.split_once('/') else { return Ok((Self::Request, object)) };
        if name.is_empty() || name.contains('/') {
            return Err(
                Failure::usage(format!("{object} names no object")).advise("write TYPE/NAME, or a request's name")
            );
        }
        let bare = kind.split('.').next().unwrap_or(kind).to_ascii_lowercase();
        let kind = match bare.as_str() {
            "tpg" | "temporarypermissiongrant" | "temporarypermissiongrants" => Self::Request,
            "amorg" | "organization" | "organizations" => Self::Organization,
            "amrole" | "role" | "roles" => Self::Role,
            "amra" | "roleassignment" | "roleassignments" => Self::RoleAssignment,
            _ => {
                return Err(Failure::usage(format!("{kind} cannot be explained"))
                    .advise("name a request, or organization/NAME, role/NAME or roleassignment/NAME"));
            }
        };
        Ok((kind, name))
    }
}

/// The name of a request, which may be written TYPE/NAME as `-o name` prints it.
///
/// # Errors
/// When it is of another kind.
pub fn request_name(object: &str) -> Result<&str, Failure> {
    match Kind::of(object) {
        Ok((Kind::Request, name)) => Ok(name),
        _ => Err(Failure::usage(format!("{object} is no request for access"))
            .advise("name a request, or temporarypermissiongrant/NAME")),
    }
}

/// The story of an object that is no request.
///
/// # Errors
/// When there is no such object, or it may not be read.
pub async fn story(kind: Kind, kubernetes: &Kubernetes, name: &str, session: &mut Session) -> Result<Story, Failure> {
    match kind {
        Kind::Organization | Kind::Request => {
            let object = kubernetes.organization(name).await?;
            let conditions = object.status.as_ref().map(|status| status.conditions.clone());
            let connects =
                Fact { about: "Connects to", text: format!("{} at {}", object.spec.organization, object.spec.api_url) };
            Ok(finish(amigo_api::Kind::Organization, &object, (connects, conditions), kubernetes, session).await)
        }
        Kind::Role => {
            let object: Role = get(kubernetes, name).await?;
            let conditions = object.status.as_ref().map(|status| status.conditions.clone());
            let organization = Fact { about: "Organization", text: object.spec.organization_ref.name.clone() };
            Ok(finish(amigo_api::Kind::Role, &object, (organization, conditions), kubernetes, session).await)
        }
        Kind::RoleAssignment => {
            let object: RoleAssignment = get(kubernetes, name).await?;
            let conditions = object.status.as_ref().map(|status| status.conditions.clone());
            let user = Fact { about: "User", text: object.spec.user.label().to_owned() };
            Ok(finish(amigo_api::Kind::RoleAssignment, &object, (user, conditions), kubernetes, session).await)
        }
    }
}

async fn get<K>(kubernetes: &Kubernetes, name: &str) -> Result<K, Failure>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let kind = K::kind(&());
    let found = kubernetes.api::<K>().get_opt(name).await;
    found.map_err(|error| Failure::of_kube(&format!("read {kind} {name}"), &error))?.ok_or_else(|| {
        Failure::failed(format!("{kind} {name} does not exist in namespace {}", kubernetes.namespace))
            .advise(format!("`kubectl get {} -A` lists those that do", K::plural(&())))
    })
}

async fn finish<K>(
    kind: amigo_api::Kind,
    object: &K,
    (fact, conditions): (Fact, Option<Vec<Condition>>),
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> Story
where
    K: Resource<DynamicType = ()>,
{
    let place = object.namespace().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
    let about = K::kind(&()).into_owned();
    let name = Fact { about: "Object", text: format!("{about} {}{place}", object.name_any()) };
    let conditions = conditions.unwrap_or_default();
    let advice = if conditions.is_empty() {
        let namespace = &session.options.operator_namespace;
        vec![format!(
            "Nobody has looked at this object: see whether the operator runs, `kubectl get pods -n {namespace}`."
        )]
    } else {
        remedies(kind, &conditions)
    };
    let mut story = Story {
        object: output::name(object),
        facts: vec![name, fact],
        permissions: Vec::new(),
        conditions: told(&conditions),
        advice,
        if_deleted: None,
        events: Vec::new(),
    };
    add_events(&mut story, object, kubernetes, session).await;
    story
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_a_request() {
        assert_eq!(Kind::of("eng-abc123").unwrap(), (Kind::Request, "eng-abc123"));
        assert_eq!(Kind::of("tpg/one").unwrap(), (Kind::Request, "one"));
        assert_eq!(Kind::of("roles.permissions.amigo.ai/one").unwrap(), (Kind::Role, "one"));
        for wrong in ["pod/one", "tpg/", "tpg/one/status"] {
            assert_eq!(Kind::of(wrong).unwrap_err().exit, crate::Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_request_is_named_as_it_is_printed() {
        assert_eq!(request_name("one"), Ok("one"));
        assert_eq!(request_name("temporarypermissiongrant.permissions.amigo.ai/one"), Ok("one"));
        for other in ["role/one", "pod/one", "tpg/"] {
            assert_eq!(request_name(other).unwrap_err().exit, crate::Exit::Usage, "{other}");
        }
    }
}
