//! Objects that commands take as `NAME` or `TYPE/NAME`, and requests read from the cluster.

use amigo_api::{Kind, Stored, TemporaryPermissionGrant};

use super::{Failure, kubernetes::Kubernetes};

/// Splits `TYPE/NAME`; a name alone is the name of a request.
///
/// # Errors
/// When the plugin does not know the type.
pub fn kind_and_name(object: &str) -> Result<(Kind, &str), Failure> {
    let Some((kind, name)) = object.split_once('/') else { return Ok((Kind::TemporaryPermissionGrant, object)) };
    if name.is_empty() || name.contains('/') {
        return Err(
            Failure::usage(format!("invalid object {object:?}")).advise("use TYPE/NAME, or the name of a request")
        );
    }
    let bare = kind.split('.').next().unwrap_or(kind).to_ascii_lowercase();
    let kind = match bare.as_str() {
        "tpg" | "temporarypermissiongrant" | "temporarypermissiongrants" => Kind::TemporaryPermissionGrant,
        "amorg" | "organization" | "organizations" => Kind::Organization,
        "amrole" | "role" | "roles" => Kind::Role,
        "amra" | "roleassignment" | "roleassignments" => Kind::RoleAssignment,
        _ => {
            return Err(Failure::usage(format!("unknown type {kind:?}"))
                .advise("use the name of a request, or organization/NAME, role/NAME or roleassignment/NAME"));
        }
    };
    Ok((kind, name))
}

/// The name of a request, which may be `TYPE/NAME` as `-o name` prints it.
///
/// # Errors
/// When the object is of another kind.
pub fn request_name(object: &str) -> Result<&str, Failure> {
    match kind_and_name(object) {
        Ok((Kind::TemporaryPermissionGrant, name)) => Ok(name),
        _ => Err(Failure::usage(format!("{object} is not a request for access"))
            .advise("use the name of a request, or temporarypermissiongrant/NAME")),
    }
}

/// Reads a request of the command's namespace, which may be unreadable.
///
/// # Errors
/// When the request does not exist, or the caller may not read it.
pub async fn request(kubernetes: &Kubernetes, name: &str) -> Result<Stored<TemporaryPermissionGrant>, Failure> {
    let found = kubernetes.api::<Stored<TemporaryPermissionGrant>>().get_opt(name).await;
    found.map_err(|error| Failure::from_kube(&format!("read request {name}"), &error))?.ok_or_else(|| {
        Failure::failed(format!("request {name} does not exist in namespace {}", kubernetes.namespace)).advise(
            "the operator deletes requests after they expire; to list live access, run `kubectl amigo conversation list-access -A`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    #[test]
    fn name_without_type_is_a_request() {
        assert_eq!(kind_and_name("eng-abc123").unwrap(), (Kind::TemporaryPermissionGrant, "eng-abc123"));
        assert_eq!(kind_and_name("tpg/one").unwrap(), (Kind::TemporaryPermissionGrant, "one"));
        assert_eq!(kind_and_name("roles.permissions.amigo.ai/one").unwrap(), (Kind::Role, "one"));
        for wrong in ["pod/one", "tpg/", "tpg/one/status"] {
            assert_eq!(kind_and_name(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn request_name_accepts_printed_names_only() {
        assert_eq!(request_name("one"), Ok("one"));
        assert_eq!(request_name("temporarypermissiongrant.permissions.amigo.ai/one"), Ok("one"));
        for other in ["role/one", "pod/one", "tpg/"] {
            assert_eq!(request_name(other).unwrap_err().exit, Exit::Usage, "{other}");
        }
    }
}
