//! The identity of the caller in the cluster and at Amigo.

use std::env;

use amigo_api::text::is_plain_address;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use kube::{Api, api::PostParams};

use super::{Failure, kubernetes::Kubernetes};

/// Sets the caller's email address at Amigo when the cluster does not know it.
pub const EMAIL_VARIABLE: &str = "AMIGO_USER_EMAIL";

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub username: String,
    /// The address at Amigo, if known.
    pub email: Option<String>,
    /// A configured value that is not an address.
    pub invalid_email: Option<String>,
}

impl Kubernetes {
    /// Asks the API server for the caller, with impersonation.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn whoami(&self) -> Result<Identity, Failure> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = reviews
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
            .map_err(|error| Failure::from_kube("get your identity from the API server", &error))?;
        let user = review.status.and_then(|status| status.user_info).unwrap_or_default();
        Ok(identity(&user, env::var(EMAIL_VARIABLE).ok()))
    }
}

impl Identity {
    /// The caller's email address.
    ///
    /// # Errors
    /// When neither the cluster nor the configuration knows one.
    pub fn email(&self) -> Result<&str, Failure> {
        self.email.as_deref().ok_or_else(|| {
            let configured = self.invalid_email.as_ref();
            let neither =
                configured.map_or_else(String::new, |text| format!(", and neither is {EMAIL_VARIABLE}={text:?}"));
            Failure::usage(format!("your cluster user {:?} is not an email address{neither}", self.username))
                .advise(format!("name the user with --user, or set {EMAIL_VARIABLE} to your email address at Amigo"))
        })
    }
}

/// The address of the authenticated user, else the configured one.
fn identity(user: &UserInfo, configured: Option<String>) -> Identity {
    let username = user.username.clone().unwrap_or_default();
    let extra = user.extra.iter().flatten().filter(|(key, _)| key.rsplit('/').next() == Some("email"));
    let claimed = extra.flat_map(|(_, values)| values).find_map(|value| address(value));
    let configured = configured.filter(|text| !text.trim().is_empty());
    let usable = configured.as_deref().and_then(address).map(str::to_owned);
    let invalid_email = configured.filter(|_| usable.is_none());
    let email = address(&username).or(claimed).map(str::to_owned).or(usable);
    Identity { username, email, invalid_email }
}

/// The address in a user name, without the prefixes of identity providers such as `oidc:` or `https://issuer#`.
fn address(text: &str) -> Option<&str> {
    let bare = text.trim().rsplit([':', '#']).next()?;
    is_plain_address(bare).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    fn named(username: &str) -> UserInfo {
        UserInfo { username: Some(username.to_owned()), ..UserInfo::default() }
    }

    #[test]
    fn username_with_an_address_is_the_address() {
        for name in ["eng@example.com", "oidc:eng@example.com", "https://issuer.example#eng@example.com"] {
            assert_eq!(identity(&named(name), None).email.as_deref(), Some("eng@example.com"), "{name}");
        }
    }

    #[test]
    fn username_that_contains_an_address_has_none() {
        for name in [
            "arn:aws:sts::123456789012:assumed-role/dev/eng@example.com",
            "azure/eng@example.com",
            "keycloak\\eng@example.com",
            "CN=eng@example.com,O=corp",
            "github|eng@example.com",
            "emailAddress=eng@example.com",
            "\"eng\"@example.com",
        ] {
            let failure = identity(&named(name), None).email().unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{name}");
            assert!(failure.message.ends_with("is not an email address"), "{failure}");
        }
    }

    #[test]
    fn claim_wins_over_the_configured_address() {
        let extra = [("example.com/email".to_owned(), vec!["eng@example.com".to_owned()])].into();
        let user = UserInfo { extra: Some(extra), ..named("eng") };
        assert_eq!(identity(&user, Some("other@example.com".to_owned())).email.as_deref(), Some("eng@example.com"));
    }

    #[test]
    fn other_usernames_use_the_configured_address() {
        for name in ["admin", "system:serviceaccount:team:robot", "root@localhost"] {
            assert_eq!(identity(&named(name), None).email, None, "{name}");
            let configured = identity(&named(name), Some("eng@example.com".to_owned()));
            assert_eq!(configured.email.as_deref(), Some("eng@example.com"));
        }
    }

    #[test]
    fn invalid_configured_address_is_reported() {
        let said =
            |configured: &str| identity(&named("admin"), Some(configured.to_owned())).email().unwrap_err().message;
        assert!(said("eng.example.com").ends_with("and neither is AMIGO_USER_EMAIL=\"eng.example.com\""));
        assert_eq!(said(" "), "your cluster user \"admin\" is not an email address");
    }
}
