//! How long a failed request is kept: so long that people notice it, and not for ever.

use amigo_api::TemporaryPermissionGrant;
use jiff::SignedDuration;
use kube::ResourceExt as _;

/// Nobody looks at a request that failed a week ago.
const TTL: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The starts of labels and annotations of tools that create their objects again.
const DECLARATIVE_TOOLS: [&str; 9] = [
    "app.kubernetes.io/",
    "argocd.argoproj.io/",
    "configmanagement.gke.io/",
    "configsync.gke.io/",
    "helm.toolkit.fluxcd.io/",
    "kapp.k14s.io/",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "objectset.rio.cattle.io/",
];

/// How long the object is kept after it failed; `None`: until somebody deletes it.
///
/// A tool that creates the object again would make a new request of it. So the operator deletes no object that a tool
/// manages, and none whose author set `notAfter`, which is meant for such tools.
pub fn failed_ttl(object: &TemporaryPermissionGrant) -> Option<SignedDuration> {
    let mut names = object.labels().keys().chain(object.annotations().keys());
    let is_managed = names.any(|name| DECLARATIVE_TOOLS.iter().any(|tool| name.starts_with(tool)));
    let is_owned = !object.owner_references().is_empty();
    (object.spec.not_after.is_none() && !is_managed && !is_owned).then_some(TTL)
}

#[cfg(test)]
mod tests {
    use amigo_api::TemporaryPermissionGrantSpec;
    use jiff::Timestamp;

    use super::*;

    fn request() -> TemporaryPermissionGrant {
        TemporaryPermissionGrant::new("one", TemporaryPermissionGrantSpec::default())
    }

    #[test]
    fn failed_request_of_a_person_is_kept_for_a_week() {
        let mut applied = request();
        applied.annotations_mut().insert("kubectl.kubernetes.io/last-applied-configuration".to_owned(), String::new());
        assert_eq!([failed_ttl(&request()), failed_ttl(&applied)], [Some(TTL), Some(TTL)]);
    }

    #[test]
    fn failed_request_of_a_tool_is_kept() {
        let mut argo = request();
        argo.annotations_mut().insert("argocd.argoproj.io/tracking-id".to_owned(), String::new());
        let mut flux = request();
        flux.labels_mut().insert("kustomize.toolkit.fluxcd.io/name".to_owned(), String::new());
        let mut ends = request();
        ends.spec.not_after = Some(Timestamp::UNIX_EPOCH);
        assert_eq!([argo, flux, ends].map(|object| failed_ttl(&object)), [None; 3]);
    }
}
