//! Who the caller is: to the cluster, and at Amigo.

use std::env;

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use kube::{Api, api::PostParams};

use super::{Failure, kubernetes::Kubernetes};

/// Names the caller's e-mail address at Amigo, where the cluster does not know it.
pub const EMAIL_VARIABLE: &str = "AMIGO_USER_EMAIL";

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name in the cluster.
    pub username: String,
    /// The user's address at Amigo, where it is known.
    pub email: Option<String>,
    /// What is configured as the address and is none.
    pub no_address: Option<String>,
}

impl Kubernetes {
    /// Asks the API server who the caller is; impersonation counts.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn whoami(&self) -> Result<Identity, Failure> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = reviews
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
            .map_err(|error| Failure::of_kube("ask the API server who you are", &error))?;
        let user = review.status.and_then(|status| status.user_info).unwrap_or_default();
        Ok(identity(&user, env::var(EMAIL_VARIABLE).ok()))
    }
}

impl Identity {
    /// The caller's e-mail address.
    ///
    /// # Errors
    /// When neither the cluster nor the configuration knows one.
    pub fn email(&self) -> Result<&str, Failure> {
        self.email.as_deref().ok_or_else(|| {
            let configured = self.no_address.as_ref();
            let neither = configured
                .map_or_else(String::new, |text| format!(", and {EMAIL_VARIABLE} is {text:?}, which is none either"));
            Failure::usage(format!("the cluster knows you as {:?}, which is no e-mail address{neither}", self.username))
                .advise(format!("name the user with --user-email, or set {EMAIL_VARIABLE} to your address at Amigo"))
        })
    }
}

/// The e-mail of the authenticated user, else the configured one.
fn identity(user: &UserInfo, configured: Option<String>) -> Identity {
    let username = user.username.clone().unwrap_or_default();
    let extra = user.extra.iter().flatten().filter(|(key, _)| key.rsplit('/').next() == Some("email"));
    let claimed = extra.flat_map(|(_, values)| values).find_map(|value| address(value));
    let configured = configured.filter(|text| !text.trim().is_empty());
    let usable = configured.as_deref().and_then(address).map(str::to_owned);
    let no_address = configured.filter(|_| usable.is_none());
    let email = address(&username).or(claimed).map(str::to_owned).or(usable);
    Identity { username, email, no_address }
}

/// The e-mail address in a user's name; sign-in services put prefixes such as `oidc:` or `https://issuer#` before it.
fn address(text: &str) -> Option<&str> {
    let bare = text.trim().rsplit([':', '#']).next()?;
    let (local, domain) = bare.split_once('@')?;
    let fits =
        !local.is_empty() && domain.contains('.') && !domain.contains('@') && !bare.contains(char::is_whitespace);
    fits.then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(username: &str) -> UserInfo {
        UserInfo { username: Some(username.to_owned()), ..UserInfo::default() }
    }

    #[test]
    fn a_users_name_that_is_an_address_is_the_address() {
        for name in ["eng@example.com", "oidc:eng@example.com", "https://issuer.example#eng@example.com"] {
            assert_eq!(identity(&named(name), None).email.as_deref(), Some("eng@example.com"), "{name}");
        }
    }

    #[test]
    fn a_claim_comes_before_the_configured_address() {
        let extra = [("example.com/email".to_owned(), vec!["eng@example.com".to_owned()])].into();
        let user = UserInfo { extra: Some(extra), ..named("eng") };
        assert_eq!(identity(&user, Some("other@example.com".to_owned())).email.as_deref(), Some("eng@example.com"));
    }

    #[test]
    fn other_names_leave_the_configured_address_or_none() {
        for name in ["admin", "system:serviceaccount:team:robot", "root@localhost"] {
            assert_eq!(identity(&named(name), None).email, None, "{name}");
            let configured = identity(&named(name), Some("eng@example.com".to_owned()));
            assert_eq!(configured.email.as_deref(), Some("eng@example.com"));
        }
    }

    #[test]
    fn a_configured_address_that_is_none_is_told() {
        let said =
            |configured: &str| identity(&named("admin"), Some(configured.to_owned())).email().unwrap_err().message;
        assert!(said("eng.example.com").ends_with("and AMIGO_USER_EMAIL is \"eng.example.com\", which is none either"));
        assert_eq!(said(" "), "the cluster knows you as \"admin\", which is no e-mail address");
    }
}
