//! Finds an Organization by name, by the URL of a conversation, or by the namespace.

use amigo_api::{Organization, PermissionModel, Stored};
use kube::{Api, ResourceExt as _};

use super::{Failure, kubernetes::Kubernetes, stored_objects::readable};

impl Kubernetes {
    pub async fn organization(&self, name: &str) -> Result<Organization, Failure> {
        readable(self.stored_organization(name).await?)
    }

    /// The Organization, which may be unreadable.
    pub async fn stored_organization(&self, name: &str) -> Result<Stored<Organization>, Failure> {
        let found = self.all_organizations().get_opt(name).await;
        match found.map_err(|error| Failure::from_kube(&format!("read Organization {name}"), &error))? {
            Some(organization) => Ok(organization),
            None => Err(not_found(name, self.organizations().await.ok().as_deref())),
        }
    }

    /// All Organizations, sorted by name.
    pub async fn organizations(&self) -> Result<Vec<Organization>, Failure> {
        let mut found = self.list(&self.all_organizations(), None, "list Organizations").await?;
        found.sort_by_key(Organization::name_any);
        Ok(found)
    }

    pub fn all_organizations(&self) -> Api<Stored<Organization>> {
        Api::all(self.client.clone())
    }

    /// The Organization whose console has the page.
    pub async fn organization_of_page(&self, url: &str) -> Result<Organization, Failure> {
        with_page(self.organizations().await?, url)
    }

    /// The only Organization that admits the command's namespace.
    pub async fn only_organization(&self) -> Result<Organization, Failure> {
        only_admitting(self.organizations().await?, &self.namespace)
    }
}

/// The permission model in the spec, else the one that the operator detected.
pub fn known_model(organization: &Organization) -> Option<PermissionModel> {
    let detected = organization.status.as_ref().and_then(|status| status.permission_model);
    organization.spec.permission_model.or_detected(detected)
}

/// The advice needs the right to list Organizations.
fn not_found(name: &str, all: Option<&[Organization]>) -> Failure {
    let failure = Failure::failed(format!("Organization {name} does not exist"));
    match all {
        Some(all) => failure.advise(available(all)),
        None => failure,
    }
}

fn only_admitting(all: Vec<Organization>, namespace: &str) -> Result<Organization, Failure> {
    if all.is_empty() {
        return Err(Failure::failed(available(&all)));
    }
    let available = available(&all);
    let mut admitting: Vec<_> = all.into_iter().filter(|organization| organization.spec.admits(namespace)).collect();
    match (admitting.pop(), admitting.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Failure::usage(format!("several Organizations allow namespace {namespace}"))
            .advise(format!("choose one with --organization; {available}"))),
        (None, _) => Err(Failure::refused(format!("no Organization allows namespace {namespace}")).advise(format!(
            "choose another namespace with -n, or ask a cluster administrator to add it to spec.allowedNamespaces; {available}"
        ))),
    }
}

fn with_page(all: Vec<Organization>, url: &str) -> Result<Organization, Failure> {
    let available = available(&all);
    let mut found: Vec<_> = all.into_iter().filter(|organization| organization.spec.has_page(url)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Failure::usage(format!("several Organizations have the console of {url}"))
            .advise(format!("choose one with --organization; {available}"))),
        (None, _) => Err(Failure::failed(format!("no Organization has the console of {url}"))
            .advise(format!("check the host of the URL, or choose an Organization with --organization; {available}"))),
    }
}

fn available(all: &[Organization]) -> String {
    if all.is_empty() {
        return "this cluster has no Organization yet; ask a cluster administrator to create one".to_owned();
    }
    let one = |organization: &Organization| format!("{} ({})", organization.name_any(), organization.spec.console());
    format!("available Organizations: {}", all.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use amigo_api::OrganizationSpec;

    use super::*;
    use crate::Exit;

    fn organization(name: &str, organization: &str) -> Organization {
        Organization::new(
            name,
            OrganizationSpec { organization: organization.to_owned(), ..OrganizationSpec::default() },
        )
    }

    #[test]
    fn page_selects_its_organization() {
        let all = vec![organization("production", "acme"), organization("staging", "acme-staging")];
        assert_eq!(with_page(all, "https://acme.amigo.ai/admin/conversation/1").unwrap().name_any(), "production");
    }

    #[test]
    fn only_admitting_organization_is_inferred() {
        let admitting = |name: &str, namespaces: &[&str]| {
            let mut organization = organization(name, "acme");
            organization.spec.allowed_namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
            organization
        };
        let all = || vec![admitting("one", &["team"]), admitting("two", &["team", "other"]), admitting("three", &[])];
        assert_eq!(only_admitting(all(), "other").unwrap().name_any(), "two");
        assert_eq!(only_admitting(all(), "team").unwrap_err().exit, Exit::Usage);
        assert_eq!(only_admitting(all(), "elsewhere").unwrap_err().exit, Exit::Refused);
        assert_eq!(only_admitting(Vec::new(), "team").unwrap_err().exit, Exit::Failed);
    }

    #[test]
    fn unknown_name_lists_available_organizations() {
        let with_list = not_found("one", Some(&[organization("two", "acme")]));
        let without_list = not_found("one", None);
        assert_eq!((with_list.exit, without_list.exit), (Exit::Failed, Exit::Failed));
        assert!(with_list.advice.unwrap().contains("two") && without_list.advice.is_none());
    }

    #[test]
    fn ambiguous_page_lists_available_organizations() {
        let all = || vec![organization("one", "acme"), organization("two", "acme")];
        let none = with_page(all(), "https://other.amigo.ai/x").unwrap_err().to_string();
        assert!(none.contains("one (https://acme.amigo.ai), two"), "{none}");
        assert!(with_page(all(), "https://acme.amigo.ai/x").unwrap_err().to_string().contains("several"));
        assert!(with_page(Vec::new(), "https://acme.amigo.ai/x").unwrap_err().to_string().contains("no Organization"));
    }
}
