//! Manifests from files: our kinds with their places, as `kubectl apply -f` would find them.
//!
//! Stricter than the API server where that protects: a misspelt field is an error, since a role without its
//! `conditions` allows more than its author meant.

mod decode;
mod files;
mod tree;

use std::fmt;

use amigo_api::{Organization, Role, RoleAssignment, TemporaryPermissionGrant};
pub use files::{FileOptions, Source};
use serde::Serialize;

use self::tree::{Tree, escaped};
use super::{Failure, commands::test::AccessTest};

/// Where something stands: `file:line`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file as the user named it, or `stdin`.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
}

/// One object of a file.
#[derive(Clone, Debug)]
pub struct Manifest<K> {
    /// The object.
    pub object: K,
    document: Document,
}

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// Role objects.
    pub roles: Vec<Manifest<Role>>,
    /// `RoleAssignment` objects.
    pub assignments: Vec<Manifest<RoleAssignment>>,
    /// `TemporaryPermissionGrant` objects.
    pub grants: Vec<Manifest<TemporaryPermissionGrant>>,
    /// Organization objects.
    pub organizations: Vec<Manifest<Organization>>,
    /// Access tests.
    pub access_tests: Vec<Manifest<AccessTest>>,
    /// How many documents were passed over: objects of other kinds, and what is no object at all.
    pub skipped: usize,
}

/// One thing wrong with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and in which field.
    pub message: String,
}

/// One document with the lines of all its parts.
#[derive(Clone, Debug)]
struct Document {
    file: String,
    tree: Tree,
}

impl Manifests {
    /// Reads what the options name.
    ///
    /// # Errors
    /// When a file cannot be read, or something in it is wrong; all that is wrong is told at once.
    pub fn read(options: &FileOptions) -> Result<Self, Failure> {
        Self::parse(&options.sources()?).map_err(|problems| complaint(&problems))
    }

    /// Takes the texts apart.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn parse(sources: &[Source]) -> Result<Self, Vec<Problem>> {
        let mut manifests = Self::default();
        let mut problems = Vec::new();
        for source in sources {
            match tree::documents(source) {
                Ok(trees) => {
                    for tree in trees {
                        let document = Document { file: source.name.clone(), tree };
                        manifests.take(document, &mut problems);
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(manifests) } else { Err(problems) }
    }
}

impl<K> Manifest<K> {
    /// Where a part of the object stands, by JSON pointer such as `/spec/permissionGrants/0`, or the object itself
    /// with an empty one; if it is not written, where the nearest part around it stands.
    #[must_use]
    pub fn place_of(&self, pointer: &str) -> Place {
        self.document.place_of(pointer.split('/').skip(1).map(escaped))
    }
}

impl Document {
    fn place_of<S: AsRef<str>>(&self, path: impl IntoIterator<Item = S>) -> Place {
        Place { file: self.file.clone(), line: self.tree.line_of(path) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// All problems, as the failure that the user reads.
#[must_use]
pub fn complaint(problems: &[Problem]) -> Failure {
    Failure::usage(problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests;
