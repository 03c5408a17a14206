//! Calls to the Amigo API, with the API key in an Organization's Secret. The caller needs the right to read it.
//!
//! The plugin sends the key only to Amigo's documented hosts and to hosts that the user allows, over TLS unless the user
//! allows `http://HOST`. No output contains the key. The API shows what the operator's user can see.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use amigo_api::{Organization, OrganizationSpec};
use amigo_client::{
    ApiAddress, Client, Credentials, DOCUMENTED_HOSTS, Error, ErrorKind, RateLimiter, Start, Transport,
    TransportOptions, address,
};
use amigo_runtime::clock::SharedClock;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};

use super::{
    Console, Exit, Failure,
    kubernetes::Kubernetes,
    options::{AmigoOptions, ClusterOptions},
};

/// A client of an Organization's API, as the operator's user.
pub async fn connect(
    kubernetes: &Kubernetes,
    organization: &Organization,
    options: &ClusterOptions,
    clock: &SharedClock,
) -> Result<Client, Failure> {
    let base_url = allowed_address(organization, &options.amigo)?;
    let credentials = credentials(kubernetes, &options.operator_namespace, organization).await?;
    let transport = Transport::new(&TransportOptions::default())
        .map_err(|error| Failure::failed(format!("cannot connect to Amigo: {error}")))?;
    let connection = ApiAddress { base_url, organization: organization.spec.organization.clone() };
    let rate_limiter = Arc::new(rate_limiter(&organization.spec, clock.clone()));
    Ok(Client::new(transport, connection, credentials, rate_limiter, clock.clone()))
}

/// The longest wait for Amigo's rate limit, which a person may take for a hang.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Calls Amigo, and once more after the wait that a rate limit asks for, if it is at most a minute.
///
/// # Errors
/// Those of the last call.
pub async fn call<T>(console: &mut Console, mut attempt: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    let error = match attempt().await {
        Err(error) if error.kind() == ErrorKind::RateLimited => error,
        other => return other,
    };
    let Some(wait) = error.retry_after().filter(|wait| *wait <= LONGEST_WAIT) else { return Err(error) };
    console.report(&format!("Amigo's rate limit is used up. Trying again in {} seconds.", wait.as_secs().max(1)));
    tokio::time::sleep(wait.max(Duration::from_secs(1))).await;
    attempt().await
}

/// The failure of an action, such as "list the grants of acme".
pub fn failure(action: &str, error: &Error) -> Failure {
    let exit = if error.refused() { Exit::Refused } else { Exit::Failed };
    let failure = Failure { exit, ..Failure::failed(format!("cannot {action}: Amigo: {error}")) };
    match (error.retry_after().filter(|_| error.kind() == ErrorKind::RateLimited), error.kind().advice()) {
        (Some(wait), _) => failure.advise(format!("try again in {} seconds", wait.as_secs().max(1))),
        (None, Some(advice)) => failure.advise(advice),
        (None, None) => failure,
    }
}

fn allowed_address(organization: &Organization, options: &AmigoOptions) -> Result<http::Uri, Failure> {
    let hosts = DOCUMENTED_HOSTS.into_iter().chain(options.allowed_api_host.iter().map(String::as_str));
    address(&organization.spec.api_url, &hosts.collect::<Vec<_>>()).map_err(|error| {
        let name = organization.name_any();
        let failure = Failure::refused(format!("cannot send the API key of Organization {name}: {error}"));
        match error.remedy("your") {
            Some(remedy) => failure.advise(format!("{remedy}; allow only hosts that you trust with the API key")),
            None => failure,
        }
    })
}

async fn credentials(
    kubernetes: &Kubernetes,
    namespace: &str,
    organization: &Organization,
) -> Result<Credentials, Failure> {
    let name = &organization.spec.credentials_secret_ref.name;
    let secrets: Api<Secret> = Api::namespaced(kubernetes.client.clone(), namespace);
    let secret = secrets.get(name).await.map_err(|error| unreadable(namespace, name, &error))?;
    Credentials::from_values(|key| secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice()))
        .map_err(|unusable| Failure::failed(format!("Secret {namespace}/{name} {unusable}")))
}

fn unreadable(namespace: &str, name: &str, error: &kube::Error) -> Failure {
    let requirement = format!("to call Amigo, you need `get` on Secret {name} in namespace {namespace}");
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            Failure::refused(format!("you cannot read Secret {namespace}/{name}")).advise(requirement)
        }
        kube::Error::Api(status) if status.code == 404 => {
            Failure::failed(format!("Secret {namespace}/{name} does not exist"))
                .advise(format!("{requirement}; set the namespace of amigo-operator with --operator-namespace"))
        }
        other => Failure::from_kube(&format!("read Secret {namespace}/{name}"), other),
    }
}

/// The rate limits that the Organization leaves to people.
fn rate_limiter(spec: &OrganizationSpec, clock: SharedClock) -> RateLimiter {
    let operators = spec.rate_limit.as_ref().and_then(|limit| limit.share).unwrap_or(80);
    RateLimiter::starting(Start::Alone, 100 - u32::from(operators.min(100)), &BTreeMap::new(), clock)
}

#[cfg(test)]
mod tests {
    use amigo_api::RateLimit;
    use amigo_client::{Cause, Endpoint, Excerpt};
    use amigo_runtime::clock::SystemClock;

    use super::*;

    fn organization(api_url: &str) -> Organization {
        Organization::new("acme", OrganizationSpec { api_url: api_url.to_owned(), ..OrganizationSpec::default() })
    }

    #[test]
    fn key_is_sent_to_allowed_hosts_only() {
        let refused = allowed_address(&organization("https://evil.example"), &AmigoOptions::default()).unwrap_err();
        assert_eq!(refused.exit, Exit::Refused);
        assert!(refused.to_string().contains("your --allowed-api-host"), "{refused}");
        let allowed = AmigoOptions { allowed_api_host: vec!["evil.example".to_owned()] };
        assert!(allowed_address(&organization("https://evil.example"), &allowed).is_ok());
        assert!(allowed_address(&organization("http://evil.example"), &allowed).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn rate_limit_is_waited_out_once() {
        let limited = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            Error::new(Endpoint::SignIn, Cause::Status { status: 429, message: Excerpt::new("later"), retry_after })
        };
        for (seconds, calls) in [(30, 2), (61, 1)] {
            let mut made = 0;
            let mut console = Console::with_streams(std::io::sink(), std::io::sink());
            let result: Result<(), _> = call(&mut console, async || {
                made += 1;
                Err(limited(seconds))
            })
            .await;
            let failure = failure("list the roles", &result.unwrap_err());
            assert_eq!((made, failure.advice), (calls, Some(format!("try again in {seconds} seconds"))));
        }
    }

    #[test]
    fn command_uses_the_share_left_to_people() {
        let allowed = |operators: Option<u8>| {
            let rate_limit = operators.map(|share| RateLimit { share: Some(share), ..RateLimit::default() });
            let spec = OrganizationSpec { rate_limit, ..OrganizationSpec::default() };
            rate_limiter(&spec, SystemClock::shared()).usage(Endpoint::ListGrants).allowed
        };
        assert_eq!((allowed(None), allowed(Some(90)), allowed(Some(100))), (20, 10, 1));
    }
}
