//! The objects that a check reads, from the cluster or from files.

use std::fmt::Debug;

use amigo_api::{NameReference, Organization, Role, RoleAssignment, Stored, TemporaryPermissionGrant};
use jiff::Timestamp;
use kube::{Api, ResourceExt as _, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use crate::{
    Exit, Failure,
    kubernetes::Kubernetes,
    manifests::{FileOptions, Manifests},
    verdict::LoadedObject,
};

#[derive(Debug, Default)]
pub struct Inventory {
    pub roles: Vec<LoadedObject<Role>>,
    pub assignments: Vec<RoleAssignment>,
    pub grants: Vec<LoadedObject<TemporaryPermissionGrant>>,
    /// Organizations of files.
    pub organizations: Vec<Organization>,
    /// The current time for objects of the cluster. All temporary grants of files count as active.
    pub now: Option<Timestamp>,
}

impl Inventory {
    /// Reads files without a cluster.
    pub fn from_files(options: &FileOptions) -> Result<Self, Failure> {
        let manifests = Manifests::read(options)?;
        manifests.require_roles(options)?;
        Ok(Self::from_manifests(manifests))
    }

    pub fn from_manifests(manifests: Manifests) -> Self {
        Self {
            roles: manifests.roles.into_iter().map(LoadedObject::File).collect(),
            assignments: manifests.assignments.into_iter().map(|manifest| manifest.object).collect(),
            grants: manifests.grants.into_iter().map(LoadedObject::File).collect(),
            organizations: manifests.organizations.into_iter().map(|manifest| manifest.object).collect(),
            now: None,
        }
    }

    /// Lists the objects of the namespace. Assignments and temporary grants matter only for a user.
    pub async fn from_cluster(kubernetes: &Kubernetes, has_user: bool, now: Timestamp) -> Result<Self, Failure> {
        let roles = list(kubernetes, "Roles").await?.into_iter().map(LoadedObject::Cluster).collect();
        let mut inventory = Self { roles, now: Some(now), ..Self::default() };
        if has_user {
            inventory.assignments = list(kubernetes, "RoleAssignments").await?;
            let grants = list(kubernetes, "TemporaryPermissionGrants").await?;
            inventory.grants = grants.into_iter().map(LoadedObject::Cluster).collect();
        }
        Ok(inventory)
    }

    pub fn is_from_cluster(&self) -> bool {
        self.now.is_some()
    }

    pub fn organization(&self, reference: &NameReference) -> Option<&Organization> {
        self.organizations.iter().find(|organization| organization.name_any() == reference.name)
    }
}

/// The Organization of a role. If the user gave the organization's id, this read may fail.
pub async fn read_organization(
    kubernetes: &Kubernetes,
    role: &Role,
    has_org_id: bool,
) -> Result<Option<Organization>, Failure> {
    match kubernetes.organization(&role.spec.organization_ref.name).await {
        Ok(organization) => Ok(Some(organization)),
        Err(_) if has_org_id => Ok(None),
        Err(failure) if failure.exit == Exit::Refused => {
            Err(failure.advise("or set the organization's id at Amigo with --org-id ID"))
        }
        Err(failure) => Err(failure),
    }
}

async fn list<K>(kubernetes: &Kubernetes, kind: &str) -> Result<Vec<K>, Failure>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<Stored<K>> = kubernetes.api();
    kubernetes.list(&api, None, &format!("list {kind} in namespace {}", kubernetes.namespace)).await
}
