//! From a document to an object of one of our kinds, strictly.

use amigo_api::{GROUP, Organization, Role, RoleAssignment, TemporaryPermissionGrant, VERSION};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_path_to_error::{Segment, Track};

use super::{Document, Manifest, Manifests, Problem};
use crate::commands::test as access_test;

impl Manifests {
    /// Sorts a document in under its kind; a list becomes its items.
    pub(super) fn take(&mut self, mut document: Document, problems: &mut Vec<Problem>) {
        if document.tree.is_map() && ["apiVersion", "kind"].iter().all(|key| document.tree.child(key).is_none()) {
            // Not meant for a cluster at all: a values file, or the seed of the sandbox.
            self.skipped += 1;
            return;
        }
        let Some((api_version, kind)) = types(&document) else {
            let message = "this is no Kubernetes object: apiVersion and kind must be texts";
            problems.push(document.problem::<&str>(&[], message));
            return;
        };
        if let Some(item_kind) = kind.strip_suffix("List")
            && let Some(items) = document.tree.take("items")
        {
            for mut item in items.into_items().unwrap_or_default() {
                if !item_kind.is_empty() {
                    item.set_missing("apiVersion", &api_version);
                    item.set_missing("kind", item_kind);
                }
                self.take(Document { file: document.file.clone(), tree: item }, problems);
            }
            return;
        }
        match api_version.split_once('/') {
            Some((GROUP, VERSION)) => self.sort_in(&kind, document, problems),
            Some((GROUP, version)) => {
                let message = format!("version {version} of {GROUP} is not known: write {GROUP}/{VERSION}");
                problems.push(document.problem(&["apiVersion"], message));
            }
            _ => self.skipped += 1,
        }
    }

    fn sort_in(&mut self, kind: &str, document: Document, problems: &mut Vec<Problem>) {
        let outcome = match kind {
            "Role" => add(&mut self.roles, decode_object::<Role>, document),
            "RoleAssignment" => add(&mut self.assignments, decode_object::<RoleAssignment>, document),
            "TemporaryPermissionGrant" => add(&mut self.grants, decode_object::<TemporaryPermissionGrant>, document),
            "Organization" => add(&mut self.organizations, decode_object::<Organization>, document),
            access_test::KIND => add(&mut self.access_tests, decode, document),
            other => Err(vec![document.problem(&["kind"], format!("{GROUP} has no kind {other}"))]),
        };
        if let Err(found) = outcome {
            problems.extend(found);
        }
    }
}

fn add<K>(
    list: &mut Vec<Manifest<K>>,
    decode: impl Fn(&Document) -> Result<K, Vec<Problem>>,
    document: Document,
) -> Result<(), Vec<Problem>> {
    let object = decode(&document)?;
    list.push(Manifest { object, document });
    Ok(())
}

fn types(document: &Document) -> Option<(String, String)> {
    Some((document.tree.text("apiVersion")?.to_owned(), document.tree.text("kind")?.to_owned()))
}

/// An object of a kind that the API server knows, which needs a name.
fn decode_object<K: Resource + DeserializeOwned>(document: &Document) -> Result<K, Vec<Problem>> {
    let object: K = decode(document)?;
    let meta = object.meta();
    let named = meta.name.as_ref().or(meta.generate_name.as_ref()).is_some_and(|name| !name.is_empty());
    if named { Ok(object) } else { Err(vec![document.problem(&["metadata"], "the object has no metadata.name")]) }
}

/// A document as a type; a field that the type does not know is an error.
fn decode<K: DeserializeOwned>(document: &Document) -> Result<K, Vec<Problem>> {
    let json = document.tree.json();
    let mut unknown = Vec::new();
    let mut track = Track::new();
    let decoded = {
        let mut note = |path: Path<'_>| unknown.push(steps(&path));
        let tracked = serde_path_to_error::Deserializer::new(&json, &mut track);
        K::deserialize(serde_ignored::Deserializer::new(tracked, &mut note))
    };
    // The types of an object stand beside what the Rust type holds.
    unknown.retain(|path| !matches!(&path[..], [only] if only == "apiVersion" || only == "kind"));
    let mut problems: Vec<_> = unknown
        .iter()
        .map(|path| document.problem(path, format!("unknown field {}: check the spelling", path.join("."))))
        .collect();
    match decoded {
        Ok(object) if problems.is_empty() => Ok(object),
        Ok(_) => Err(problems),
        Err(error) => {
            let path: Vec<_> = track.path().iter().filter_map(step).collect();
            let field = if path.is_empty() { String::new() } else { format!("{}: ", path.join(".")) };
            problems.push(document.problem(&path, format!("{field}{error}")));
            Err(problems)
        }
    }
}

fn step(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn steps(path: &Path<'_>) -> Vec<String> {
    let (parent, step) = match path {
        Path::Root => return Vec::new(),
        Path::Seq { parent, index } => (parent, Some(index.to_string())),
        Path::Map { parent, key } => (parent, Some(key.clone())),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => (parent, None),
    };
    let mut steps = steps(parent);
    steps.extend(step);
    steps
}

impl Document {
    fn problem<S: AsRef<str>>(&self, path: &[S], message: impl Into<String>) -> Problem {
        Problem { place: self.place_of(path), message: message.into() }
    }
}
