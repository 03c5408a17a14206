//! Manifests from files, with the line of every field. Reads the same files as `kubectl apply -f`.
//!
//! Stricter than the API server where that protects: a misspelled field is an error, because a role without its
//! `conditions` allows more than its author intended.

mod access_test;
mod decode;
mod files;
mod location;
mod tree;

use std::fmt;

use amigo_api::{Organization, Role, RoleAssignment, TemporaryPermissionGrant};

use self::tree::{Tree, unescape};
pub use self::{
    access_test::{AccessTest, Case, Expectation, GrantSpec, KIND as ACCESS_TEST_KIND, Reason},
    files::{FileOptions, SourceFile},
    location::Location,
};
use super::Failure;

/// An object of a file.
#[derive(Clone, Debug)]
pub struct Manifest<K> {
    pub object: K,
    document: Document,
}

/// The objects of all files.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    pub roles: Vec<Manifest<Role>>,
    pub assignments: Vec<Manifest<RoleAssignment>>,
    pub grants: Vec<Manifest<TemporaryPermissionGrant>>,
    pub organizations: Vec<Manifest<Organization>>,
    pub access_tests: Vec<Manifest<AccessTest>>,
    /// The number of ignored documents: objects of other kinds, and files without a kind.
    pub skipped: usize,
}

/// An error in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub location: Location,
    pub message: String,
}

/// A YAML document with the line of every field.
#[derive(Clone, Debug)]
struct Document {
    file: String,
    tree: Tree,
}

impl Manifests {
    /// # Errors
    /// When a file cannot be read or is invalid. The failure lists all problems.
    pub fn read(options: &FileOptions) -> Result<Self, Failure> {
        Ok(Self::parse(&options.sources()?)?)
    }

    /// # Errors
    /// All problems of all files.
    pub fn parse(files: &[SourceFile]) -> Result<Self, Vec<Problem>> {
        let mut manifests = Self::default();
        let mut problems = Vec::new();
        for file in files {
            match tree::documents(file) {
                Ok(trees) => {
                    for tree in trees {
                        manifests.add(Document { file: file.name.clone(), tree }, &mut problems);
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(manifests) } else { Err(problems) }
    }

    /// # Errors
    /// When the files contain no Role.
    pub fn require_roles(&self, options: &FileOptions) -> Result<(), Failure> {
        if !self.roles.is_empty() {
            return Ok(());
        }
        let files = options.files.join(", ");
        Err(Failure::usage(format!("no Role of permissions.amigo.ai found in {files}"))
            .advise("add the file of the role with -f, or search subfolders with -R"))
    }
}

impl<K> Manifest<K> {
    /// The location of a field by its JSON pointer, such as `/spec/permissionGrants/0`. An empty pointer means the
    /// object. If the field is absent, this is the location of the nearest parent.
    pub fn location_of(&self, pointer: &str) -> Location {
        self.document.location_of(pointer.split('/').skip(1).map(unescape))
    }
}

impl Document {
    fn location_of<S: AsRef<str>>(&self, path: impl IntoIterator<Item = S>) -> Location {
        Location { file: self.file.clone(), line: self.tree.line_of(path) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.location, self.message)
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        Self::usage(problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
mod tests;
