//! Where the objects come from: the cluster, or files.

use std::fmt::Debug;

use amigo_api::{Organization, Role};
use jiff::Timestamp;
use kube::{Api, ResourceExt as _, api::ListParams, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::subject::World;
use crate::{
    Exit, Failure,
    kubernetes::Kubernetes,
    manifests::{FileOptions, Manifest, Manifests},
    verdict::LoadedObject,
};

/// What files hold. No cluster is asked.
///
/// # Errors
/// When they cannot be read, or hold no Role.
pub fn of_files(options: &FileOptions) -> Result<(World, Vec<Organization>), Failure> {
    let manifests = Manifests::read(options)?;
    manifests.require_roles(options)?;
    let world = World {
        roles: manifests.roles.into_iter().map(LoadedObject::File).collect(),
        assignments: manifests.assignments.into_iter().map(|manifest| manifest.object).collect(),
        grants: manifests.grants.into_iter().map(LoadedObject::File).collect(),
        now: None,
    };
    let object = |manifest: Manifest<Organization>| manifest.object;
    Ok((world, manifests.organizations.into_iter().map(object).collect()))
}

/// The Organization of a role, of those in files.
pub fn organization_of<'a>(organizations: &'a [Organization], role: &Role) -> Option<&'a Organization> {
    organizations.iter().find(|organization| organization.name_any() == role.spec.organization_ref.name)
}

/// What the namespace holds; without a user no assignments and no temporary grants.
///
/// # Errors
/// When something may not be listed.
pub async fn of_cluster(kubernetes: &Kubernetes, user: bool, now: Timestamp) -> Result<World, Failure> {
    let live = |object| LoadedObject::Cluster(object);
    let roles = list::<Role>(kubernetes, "Roles").await?.into_iter().map(LoadedObject::Cluster).collect();
    let mut world = World { roles, now: Some(now), ..World::default() };
    if user {
        world.assignments = list(kubernetes, "RoleAssignments").await?;
        world.grants = list(kubernetes, "TemporaryPermissionGrants").await?.into_iter().map(live).collect();
    }
    Ok(world)
}

/// The Organization of a role. Where the user has said the organization's id, it may be out of reach.
///
/// # Errors
/// When it may not be read, or is not there.
pub async fn organization(
    kubernetes: &Kubernetes,
    role: &Role,
    id_is_given: bool,
) -> Result<Option<Organization>, Failure> {
    match kubernetes.organization(&role.spec.organization_ref.name).await {
        Ok(organization) => Ok(Some(organization)),
        Err(_) if id_is_given => Ok(None),
        Err(failure) if failure.exit == Exit::Refused => {
            Err(failure.advise("or say the organization's id at Amigo with --org ID: then it is not read"))
        }
        Err(failure) => Err(failure),
    }
}

async fn list<K>(kubernetes: &Kubernetes, kind: &str) -> Result<Vec<K>, Failure>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = kubernetes.api();
    let listed = api.list(&ListParams::default()).await;
    let doing = format!("list {kind} in namespace {}", kubernetes.namespace);
    listed.map(|list| list.items).map_err(|error| Failure::of_kube(&doing, &error))
}
