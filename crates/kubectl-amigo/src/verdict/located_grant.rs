//! The grants of objects, with their origin.

use amigo_api::{Role, TemporaryPermissionGrant};
use amigo_lifecycle::grant::{PermissionRequest, Request};
use amigo_permissions::{Action, PermissionGrant};
use kube::ResourceExt as _;
use serde::Serialize;

use crate::manifests::{Location, Manifest};

#[derive(Clone, Debug)]
pub struct LocatedGrant {
    pub grant: PermissionGrant,
    pub origin: Origin,
}

/// Where a grant comes from.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Origin {
    /// The field of the object, such as `permissionGrants[2]`.
    pub path: String,
    /// Role or `TemporaryPermissionGrant`; empty if there is no object.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub kind: &'static str,
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Absent for an object of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

#[derive(Debug)]
pub enum LoadedObject<K> {
    Cluster(K),
    File(Manifest<K>),
}

/// Why the permissions of a temporary grant are unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnresolvedGrant {
    /// It gives access to a conversation, and nothing names the owner.
    UnknownOwner,
    /// It has both a conversation and permissions, or neither.
    InvalidSpec,
}

impl<K> LoadedObject<K> {
    pub fn object(&self) -> &K {
        match self {
            Self::Cluster(object) => object,
            Self::File(manifest) => &manifest.object,
        }
    }

    fn location_of(&self, pointer: &str) -> Option<Location> {
        match self {
            Self::Cluster(_) => None,
            Self::File(manifest) => Some(manifest.location_of(pointer)),
        }
    }
}

impl LoadedObject<Role> {
    pub fn grants(&self) -> Vec<LocatedGrant> {
        let role = self.object();
        let locate = |(index, grant): (usize, &amigo_api::RoleGrant)| LocatedGrant {
            grant: grant.into(),
            origin: Origin {
                path: format!("permissionGrants[{index}]"),
                kind: "Role",
                name: role.name_any(),
                description: grant.description.clone(),
                location: self.location_of(&format!("/spec/permissionGrants/{index}")),
            },
        };
        role.spec.permission_grants.iter().enumerate().map(locate).collect()
    }

    /// Whether this is the object's name, or the role's name at Amigo.
    pub fn has_name(&self, name: &str) -> bool {
        self.object().name_any() == name || self.object().remote_name() == name
    }
}

impl LoadedObject<TemporaryPermissionGrant> {
    /// The requested permissions in an organization. `owner` is the owner of the conversation, if the object does not
    /// name it.
    pub fn grants(&self, org_id: &str, owner: Option<&str>) -> Result<Vec<LocatedGrant>, UnresolvedGrant> {
        let object = self.object();
        let request = Request::from_spec(&object.spec).ok_or(UnresolvedGrant::InvalidSpec)?;
        let in_spec = object.spec.conversation.as_ref().and_then(|conversation| conversation.owner_user_id.as_deref());
        let in_status = object.status.as_ref().and_then(|status| status.conversation_owner_user_id.as_deref());
        let owner = owner.or(in_spec).or(in_status);
        let locate = |slot: u32| {
            let PermissionRequest { permission_name, conditions } = request.permission(slot, org_id, owner)?;
            // A conversation implies several permissions, none of which has a field.
            let is_conversation = matches!(request, Request::Conversation);
            let path = if is_conversation { "conversation".to_owned() } else { format!("permissions[{slot}]") };
            let pointer = if is_conversation { "/spec/conversation" } else { &format!("/spec/permissions/{slot}") };
            Some(LocatedGrant {
                grant: PermissionGrant { action: Action::Allow, permission_name, conditions },
                origin: Origin {
                    path,
                    kind: "TemporaryPermissionGrant",
                    name: object.name_any(),
                    description: None,
                    location: self.location_of(pointer),
                },
            })
        };
        (0..request.slots()).map(locate).collect::<Option<_>>().ok_or(UnresolvedGrant::UnknownOwner)
    }
}
