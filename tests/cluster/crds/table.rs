//! What a case of the table is, and how the API server judges it.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::{GroupVersionKind, response::StatusCause},
};
use serde_json::{Value, json};
use test_support::TestEnv;

/// A kind, with the spec that the cases change.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub is_namespaced: bool,
    pub spec: &'static str,
}

/// One rule, with changes of the kind's spec that keep it and changes that break it.
pub struct Case {
    kind: &'static Kind,
    field: String,
    because: String,
    existing: Option<String>,
    accepted: Vec<String>,
    refused: Vec<String>,
}

impl Kind {
    /// A case about `field`, whose refusal says `because`.
    pub fn rule(&'static self, field: impl Into<String>, because: impl Into<String>) -> Case {
        let (field, because) = (field.into(), because.into());
        Case { kind: self, field, because, existing: None, accepted: vec![], refused: vec![] }
    }
}

impl Case {
    /// The changes are made to an object that exists, with this spec, not to a new one.
    pub fn of_existing(mut self, changes: &str) -> Self {
        self.existing = Some(changes.to_owned());
        self
    }

    pub fn accepts(mut self, changes: impl Into<String>) -> Self {
        self.accepted.push(changes.into());
        self
    }

    pub fn refuses(mut self, changes: impl Into<String>) -> Self {
        self.refused.push(changes.into());
        self
    }

    /// What went otherwise than the case says. What the refusals say is added to `seen`.
    pub async fn complaints(&self, judge: &Judge, seen: &mut Vec<(&str, StatusCause)>) -> Vec<String> {
        assert!(!self.accepted.is_empty() && !self.refused.is_empty(), "{} needs one of each", self.field);
        let mut complaints = Vec::new();
        for changes in &self.accepted {
            let causes = judge.causes(self, changes).await;
            complaints.extend((!causes.is_empty()).then(|| self.says(changes, &format!("refused: {causes:?}"))));
        }
        for changes in &self.refused {
            let causes = judge.causes(self, changes).await;
            let expected =
                causes.iter().any(|cause| cause.field == self.field && cause.message.contains(&self.because));
            complaints.extend((!expected).then(|| self.says(changes, &format!("not refused so: {causes:?}"))));
            seen.extend(causes.into_iter().map(|cause| (self.kind.name, cause)));
        }
        complaints
    }

    fn says(&self, changes: &str, problem: &str) -> String {
        format!("{} {}, {}: {changes} was {problem}", self.kind.name, self.field, self.because)
    }
}

/// Asks the API server, without leaving anything behind but the objects of `of_existing`.
pub struct Judge {
    client: Client,
    namespace: String,
}

impl Judge {
    pub fn of(env: &TestEnv) -> Self {
        Self { client: env.client.clone(), namespace: env.namespace.clone() }
    }

    /// The object as the API server keeps it.
    pub async fn create(&self, kind: &Kind, object: &DynamicObject) -> Value {
        let kept = self.api(kind).create(&PostParams::default(), object).await.expect("an accepted object");
        serde_json::to_value(kept).expect("JSON")
    }

    async fn causes(&self, case: &Case, changes: &str) -> Vec<StatusCause> {
        let api = self.api(case.kind);
        let judged = match &case.existing {
            None => {
                api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object(case.kind, changes)).await
            }
            Some(existing) => {
                let object = api.create(&PostParams::default(), &object(case.kind, existing)).await.expect("an object");
                let name = object.metadata.name.expect("a name");
                let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
                api.patch(&name, &parameters, &Patch::Merge(json!({ "spec": yaml(changes) }))).await
            }
        };
        match judged {
            Ok(_) => vec![],
            Err(kube::Error::Api(status)) => {
                let causes = status.details.map(|details| details.causes).unwrap_or_default();
                assert!(!causes.is_empty(), "refused for no rule: {}", status.message);
                causes
            }
            Err(error) => unreachable!("no answer: {error}"),
        }
    }

    pub fn api(&self, kind: &Kind) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("permissions.amigo.ai", "v1alpha1", kind.name));
        if kind.is_namespaced {
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }
}

/// The kind's object with changes to its spec.
pub fn object(kind: &Kind, changes: &str) -> DynamicObject {
    let mut spec = yaml(kind.spec);
    merge(&mut spec, yaml(changes));
    let object = json!({
        "apiVersion": "permissions.amigo.ai/v1alpha1",
        "kind": kind.name,
        "metadata": { "generateName": "case-" },
        "spec": spec,
    });
    serde_json::from_value(object).expect("an object")
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

/// As a JSON merge patch does: `null` removes. `~null` stays as a null.
fn merge(target: &mut Value, changes: Value) {
    match (target, changes) {
        (Value::Object(target), Value::Object(changes)) => {
            for (name, change) in changes {
                match change {
                    Value::Null => drop(target.remove(&name)),
                    Value::String(text) if text == "~null" => drop(target.insert(name, Value::Null)),
                    change => merge(target.entry(name).or_insert(Value::Null), change),
                }
            }
        }
        (target @ Value::Null, changes @ Value::Object(_)) => {
            *target = json!({});
            merge(target, changes);
        }
        (target, changes) => *target = changes,
    }
}
