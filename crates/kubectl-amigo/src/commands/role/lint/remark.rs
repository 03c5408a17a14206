//! What there is to say of roles, and where.

use amigo_api::Role;
use amigo_lifecycle::role;
use amigo_permissions::lint::{Finding, Location, Member, Severity};
use kube::ResourceExt as _;
use serde::{Serialize, Serializer};

use crate::{
    Failure,
    manifests::{self, FileOptions, Manifests, Problem},
};

/// The code of what makes a file unreadable.
pub const INVALID_MANIFEST: &str = "InvalidManifest";

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The object's name; empty where the file cannot be read.
    pub role: String,
    /// The file and the line, from 1; none for a role in the cluster.
    #[serde(flatten)]
    pub line: Option<manifests::Place>,
    /// How much it weighs.
    #[serde(serialize_with = "in_words")]
    pub severity: Severity,
    /// What it is about; stable, for programs.
    pub code: &'static str,
    /// Where in the object, such as `spec.permissionGrants[2].conditions.org_id`.
    pub place: String,
    /// What is the matter.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn in_words<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.as_str())
}

/// What is to say of the roles in files, and how many roles they hold.
///
/// # Errors
/// When a file cannot be read, or there is no role.
pub fn of_files(files: &FileOptions) -> Result<(usize, Vec<Remark>), Failure> {
    match Manifests::parse(&files.sources()?) {
        Ok(manifests) if manifests.roles.is_empty() => {
            Err(Failure::usage("there is no Role in these files").advise("-R looks into folders of folders too"))
        }
        Ok(manifests) => {
            let roles = manifests.roles.iter();
            let remarks = roles.flat_map(|role| of_role(&role.object, |pointer| Some(role.place_of(pointer))));
            Ok((manifests.roles.len(), remarks.collect()))
        }
        Err(problems) => Ok((0, problems.into_iter().map(Remark::from).collect())),
    }
}

/// What is to say of a role; `line` tells where a JSON pointer into it stands.
pub fn of_role(role: &Role, line: impl Fn(&str) -> Option<manifests::Place>) -> Vec<Remark> {
    let remark = |finding: Finding| Remark {
        role: role.name_any(),
        line: line(&pointer(role, &finding.location)),
        severity: finding.severity(),
        code: finding.code.as_str(),
        place: path(role, &finding.location),
        message: finding.message,
        advice: finding.advice,
    };
    role::lint(&role.remote_name(), &role.spec).into_iter().map(remark).collect()
}

/// Where the role's name stands: the object's own name is the default.
fn is_named_by_object(role: &Role, place: &Location) -> bool {
    *place == Location::RoleName && role.spec.role_name.is_none()
}

fn path(role: &Role, place: &Location) -> String {
    if is_named_by_object(role, place) { "metadata.name".to_owned() } else { format!("spec.{place}") }
}

fn pointer(role: &Role, place: &Location) -> String {
    if is_named_by_object(role, place) {
        return "/metadata/name".to_owned();
    }
    let (index, member) = match place {
        Location::RoleName => return "/spec/roleName".to_owned(),
        Location::RoleDescription => return "/spec/description".to_owned(),
        Location::Grant { index, member } => (index, member),
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

impl From<Problem> for Remark {
    fn from(problem: Problem) -> Self {
        Self {
            role: String::new(),
            line: Some(problem.place),
            severity: Severity::Error,
            code: INVALID_MANIFEST,
            place: String::new(),
            message: problem.message,
            advice: "`kubectl explain amrole.spec` describes every field".to_owned(),
        }
    }
}
