//! From objects to the grants they stand for.

use amigo_api::{Role, TemporaryPermissionGrant};
use amigo_lifecycle::grant::{PermissionRequest, Request};
use amigo_permissions::{Action, PermissionGrant};
use kube::ResourceExt as _;

use super::Source;
use crate::manifests::Manifest;

/// An object from the cluster or from a file.
#[derive(Debug)]
pub enum Found<K> {
    /// As the cluster has it.
    Live(K),
    /// As a file has it.
    Written(Manifest<K>),
}

/// A temporary grant that cannot be looked at, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// It opens the conversations of an owner who is not named.
    OwnerUnknown,
    /// It names both a conversation and permissions, or neither.
    Nothing,
}

impl<K> Found<K> {
    /// The object itself.
    pub fn object(&self) -> &K {
        match self {
            Self::Live(object) => object,
            Self::Written(manifest) => &manifest.object,
        }
    }

    fn source(&self, grant: PermissionGrant, kind: &'static str, name: String, path: (&str, usize)) -> Source {
        let (list, index) = path;
        let pointer = format!("/spec/{list}/{index}");
        let place = match self {
            Self::Live(_) => None,
            Self::Written(manifest) => Some(manifest.place_of(&pointer)),
        };
        Source { grant, path: format!("{list}[{index}]"), kind, name, description: None, place }
    }
}

impl Found<Role> {
    /// The grants of the role.
    pub fn sources(&self) -> Vec<Source> {
        let role = self.object();
        let grants = role.spec.permission_grants.iter().enumerate();
        let source = |(index, grant): (usize, &amigo_api::RoleGrant)| Source {
            description: grant.description.clone(),
            ..self.source(grant.into(), "Role", role.name_any(), ("permissionGrants", index))
        };
        grants.map(source).collect()
    }

    /// Whether people call the role so: by its object's name, or by its name at Amigo.
    pub fn is_called(&self, name: &str) -> bool {
        self.object().name_any() == name || self.object().remote_name() == name
    }
}

impl Found<TemporaryPermissionGrant> {
    /// The permissions that the object asks for in an organization; `owner` is the conversation's, where the object
    /// does not know it.
    ///
    /// # Errors
    /// When it cannot be told what they are.
    pub fn sources(&self, org_id: &str, owner: Option<&str>) -> Result<Vec<Source>, Unclear> {
        let object = self.object();
        let request = Request::from_spec(&object.spec).ok_or(Unclear::Nothing)?;
        let written = object.spec.conversation.as_ref().and_then(|conversation| conversation.owner_user_id.as_deref());
        let looked_up = object.status.as_ref().and_then(|status| status.conversation_owner_user_id.as_deref());
        let owner = owner.or(written).or(looked_up);
        let source = |slot: u32| {
            let PermissionRequest { permission_name, conditions } = request.permission(slot, org_id, owner)?;
            let grant = PermissionGrant { action: Action::Allow, permission_name, conditions };
            let index = usize::try_from(slot).ok()?;
            let name = object.name_any();
            let source = self.source(grant, "TemporaryPermissionGrant", name, ("permissions", index));
            Some(if matches!(request, Request::Conversation) { of_conversation(source) } else { source })
        };
        (0..request.slots()).map(source).collect::<Option<_>>().ok_or(Unclear::OwnerUnknown)
    }
}

/// A conversation stands for several permissions, and none of them is written.
fn of_conversation(source: Source) -> Source {
    Source { path: "conversation".to_owned(), ..source }
}
