//! Which Organization a command means: by name, or by the host of a conversation's page.

use amigo_api::{Organization, PermissionModel};
use kube::{Api, ResourceExt as _, api::ListParams};

use super::{Failure, kubernetes::Kubernetes};

impl Kubernetes {
    /// The Organization of this name.
    ///
    /// # Errors
    /// When there is none, naming those there are, or it may not be read.
    pub async fn organization(&self, name: &str) -> Result<Organization, Failure> {
        let api: Api<Organization> = Api::all(self.client.clone());
        let found =
            api.get_opt(name).await.map_err(|error| Failure::of_kube(&format!("read Organization {name}"), &error))?;
        match found {
            Some(organization) => Ok(organization),
            None => Err(missing(name, self.organizations().await.ok().as_deref())),
        }
    }

    /// Every Organization, by name.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn organizations(&self) -> Result<Vec<Organization>, Failure> {
        let api: Api<Organization> = Api::all(self.client.clone());
        let list = api.list(&ListParams::default()).await;
        let mut found = list.map_err(|error| Failure::of_kube("list Organizations", &error))?.items;
        found.sort_by_key(Organization::name_any);
        Ok(found)
    }

    /// The Organization whose console a page belongs to.
    ///
    /// # Errors
    /// When no Organization has such a console, or several have.
    pub async fn organization_of_page(&self, url: &str) -> Result<Organization, Failure> {
        of_page(self.organizations().await?, url)
    }

    /// The only Organization that the command's namespace may use.
    ///
    /// # Errors
    /// When there is none, or there are several.
    pub async fn only_organization(&self) -> Result<Organization, Failure> {
        only(self.organizations().await?, &self.namespace)
    }
}

/// Whether the organization's API knows Deny: as the Organization says, else as the operator found.
#[must_use]
pub fn known_model(organization: &Organization) -> Option<PermissionModel> {
    let detected = organization.status.as_ref().and_then(|status| status.permission_model);
    organization.spec.permission_model.or_detected(detected)
}

/// No such Organization. Who may not list those there are is only not told of them.
fn missing(name: &str, all: Option<&[Organization]>) -> Failure {
    let failure = Failure::failed(format!("Organization {name} does not exist"));
    match all {
        Some(all) => failure.advise(choices(all)),
        None => failure,
    }
}

fn only(all: Vec<Organization>, namespace: &str) -> Result<Organization, Failure> {
    if all.is_empty() {
        return Err(Failure::failed(choices(&all)));
    }
    let names = choices(&all);
    let mut usable: Vec<_> = all.into_iter().filter(|one| one.spec.admits(namespace)).collect();
    match (usable.pop(), usable.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => {
            Err(Failure::usage("it is not clear which Organization is meant").advise(format!("name it with --env; {names}")))
        }
        (None, _) => Err(Failure::refused(format!("no Organization admits namespace {namespace}")).advise(format!(
            "choose another namespace with -n, or ask whoever runs amigo-operator to add it to spec.allowedNamespaces; {names}"
        ))),
    }
}

fn of_page(all: Vec<Organization>, url: &str) -> Result<Organization, Failure> {
    let names = choices(&all);
    let mut found: Vec<_> = all.into_iter().filter(|one| one.spec.has_page(url)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Failure::usage(format!("several Organizations have the console of {url}"))
            .advise(format!("choose one with --env; {names}"))),
        (None, _) => Err(Failure::failed(format!("no Organization has the console of {url}"))
            .advise(format!("check the URL's host, or choose with --env; {names}"))),
    }
}

fn choices(all: &[Organization]) -> String {
    if all.is_empty() {
        return "there is no Organization in this cluster yet: whoever runs amigo-operator creates them".to_owned();
    }
    let one = |organization: &Organization| format!("{} ({})", organization.name_any(), organization.spec.console());
    format!("there are: {}", all.iter().map(one).collect::<Vec<_>>().join(", "))
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
    fn a_page_names_its_organization() {
        let all = vec![organization("production", "acme"), organization("staging", "acme-staging")];
        assert_eq!(of_page(all, "https://acme.amigo.ai/admin/conversation/1").unwrap().name_any(), "production");
    }

    #[test]
    fn only_what_admits_the_namespace_is_inferred() {
        let admitting = |name: &str, namespaces: &[&str]| {
            let mut organization = organization(name, "acme");
            organization.spec.allowed_namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
            organization
        };
        let all = || vec![admitting("one", &["team"]), admitting("two", &["team", "other"]), admitting("three", &[])];
        assert_eq!(only(all(), "other").unwrap().name_any(), "two");
        assert_eq!(only(all(), "team").unwrap_err().exit, Exit::Usage);
        assert_eq!(only(all(), "elsewhere").unwrap_err().exit, Exit::Refused);
        assert_eq!(only(Vec::new(), "team").unwrap_err().exit, Exit::Failed);
    }

    #[test]
    fn a_name_of_none_fails_whether_or_not_the_choices_are_known() {
        let (told, untold) = (missing("one", Some(&[organization("two", "acme")])), missing("one", None));
        assert_eq!((told.exit, untold.exit), (Exit::Failed, Exit::Failed));
        assert!(told.advice.unwrap().contains("two") && untold.advice.is_none());
    }

    #[test]
    fn a_page_of_none_or_several_names_the_choices() {
        let all = || vec![organization("one", "acme"), organization("two", "acme")];
        let none = of_page(all(), "https://other.amigo.ai/x").unwrap_err().to_string();
        assert!(none.contains("one (https://acme.amigo.ai), two"), "{none}");
        assert!(of_page(all(), "https://acme.amigo.ai/x").unwrap_err().to_string().contains("several"));
        assert!(of_page(Vec::new(), "https://acme.amigo.ai/x").unwrap_err().to_string().contains("no Organization"));
    }
}
