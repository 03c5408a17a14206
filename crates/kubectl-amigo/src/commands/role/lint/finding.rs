//! Findings with their location in a file.

use amigo_api::Role;
use amigo_lifecycle::role;
use amigo_permissions::lint::{self, Finding, Member, Severity};
use kube::ResourceExt as _;
use serde::{Serialize, Serializer};

use crate::{
    Failure,
    manifests::{FileOptions, Location, Manifests, Problem},
};

/// The code of an invalid file.
pub const INVALID_MANIFEST: &str = "InvalidManifest";

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocatedFinding {
    /// The object's name; empty for an invalid file.
    pub role: String,
    /// Absent for a role in the cluster.
    #[serde(flatten)]
    pub location: Option<Location>,
    #[serde(serialize_with = "serialize_severity")]
    pub severity: Severity,
    /// A stable name for programs.
    pub code: &'static str,
    /// The field of the object, such as `spec.permissionGrants[2].conditions.org_id`.
    pub field: String,
    pub message: String,
    pub advice: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires a reference")]
fn serialize_severity<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.as_str())
}

/// The number of roles, and their findings. Invalid files are findings too.
pub fn lint_files(files: &FileOptions) -> Result<(usize, Vec<LocatedFinding>), Failure> {
    match Manifests::parse(&files.sources()?) {
        Ok(manifests) => {
            manifests.require_roles(files)?;
            let roles = manifests.roles.iter();
            let findings = roles.flat_map(|role| lint_role(&role.object, |pointer| Some(role.location_of(pointer))));
            Ok((manifests.roles.len(), findings.collect()))
        }
        Err(problems) => Ok((0, problems.into_iter().map(LocatedFinding::from).collect())),
    }
}

/// The findings of a role. `locate` gives the location of a JSON pointer.
pub fn lint_role(role: &Role, locate: impl Fn(&str) -> Option<Location>) -> Vec<LocatedFinding> {
    let located = |finding: Finding| LocatedFinding {
        role: role.name_any(),
        location: locate(&pointer(role, &finding.path)),
        severity: finding.severity(),
        code: finding.code.as_str(),
        field: field(role, &finding.path),
        message: finding.message,
        advice: finding.advice,
    };
    role::lint(&role.remote_name(), &role.spec).into_iter().map(located).collect()
}

/// The object's name is the default of the role's name.
fn is_named_by_object(role: &Role, place: &lint::FieldPath) -> bool {
    *place == lint::FieldPath::RoleName && role.spec.role_name.is_none()
}

fn field(role: &Role, place: &lint::FieldPath) -> String {
    if is_named_by_object(role, place) { "metadata.name".to_owned() } else { format!("spec.{place}") }
}

fn pointer(role: &Role, place: &lint::FieldPath) -> String {
    if is_named_by_object(role, place) {
        return "/metadata/name".to_owned();
    }
    let (index, member) = match place {
        lint::FieldPath::RoleName => return "/spec/roleName".to_owned(),
        lint::FieldPath::RoleDescription => return "/spec/description".to_owned(),
        lint::FieldPath::Grant { index, member } => (index, member),
    };
    let grant = format!("/spec/permissionGrants/{index}");
    match member {
        Member::Whole => grant,
        Member::Action => grant + "/action",
        Member::PermissionName => grant + "/permissionName",
        Member::Conditions => grant + "/conditions",
        Member::Condition(attribute) => {
            format!("{grant}/conditions/{}", attribute.replace('~', "~0").replace('/', "~1"))
        }
        Member::Description => grant + "/description",
    }
}

impl From<Problem> for LocatedFinding {
    fn from(problem: Problem) -> Self {
        Self {
            role: String::new(),
            location: Some(problem.location),
            severity: Severity::Error,
            code: INVALID_MANIFEST,
            field: String::new(),
            message: problem.message,
            advice: "for a description of the fields, run `kubectl explain amrole.spec`".to_owned(),
        }
    }
}
