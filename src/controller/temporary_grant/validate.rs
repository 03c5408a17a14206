//! Validate: the protocol's spec of an object with the defaults and limits of its Organization, and what blocks it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use amigo_api::{GrantRules, TemporaryPermissionGrant, console, duration, reasons};
use amigo_lifecycle::grant::{Origin, Request, Spec, compact_uid};
use amigo_lifecycle::{Failure, RetryClass};
use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::{failed_ttl::failed_ttl, renewals};
use crate::controller::{
    connection::{Connection, api_endpoint::ApiEndpoint, existing},
    context::Context,
    resync,
};

/// The protocol's spec of an object. A problem becomes its blocker; access that is live still expires.
pub fn validate(object: &TemporaryPermissionGrant, connection: Option<&Connection>, context: &Context) -> Spec {
    let spec = &object.spec;
    let mut problems = Problems::default();
    problems.check(context.served_schema.check::<TemporaryPermissionGrant>());
    problems.check(check_organization(object, connection));
    let rule = |rule: fn(&GrantRules) -> Option<&str>, default| {
        connection.map_or(default, |connection| connection.grant_rule(rule, default))
    };
    let default = rule(|rules| rules.default_duration.as_deref(), duration::DEFAULT_GRANT);
    let longest = rule(|rules| rules.max_duration.as_deref(), duration::LONGEST_GRANT);
    let requested = problems.parse_duration("duration", spec.duration.as_deref()).unwrap_or(default);
    problems.check(check_duration(requested));
    let duration_text = spec.duration.clone().filter(|_| requested <= longest);
    let duration = requested.min(longest);
    if let Some(connection) = connection {
        problems.check(check_remote_organization(object, connection));
    }
    let request = request(object, &mut problems);
    if let (Some(connection), Some(url)) =
        (connection, spec.conversation.as_ref().and_then(|conversation| conversation.url.as_deref()))
    {
        problems.check(check_conversation_url(url, connection));
    }
    let revoke_within = problems.parse_duration("revokeWithin", revoke_within(object, connection));
    if let Some(connection) = connection {
        problems.check(renewals::check(object, connection, context));
    }
    Spec {
        origin: Origin {
            cluster: context.cluster.clone(),
            uid: compact_uid(&object.uid().unwrap_or_default()),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        },
        holder: context.settings.identity.clone(),
        generation: object.metadata.generation.unwrap_or_default(),
        created_at: object.creation_timestamp().map_or_else(|| context.clock.now(), |time| time.0),
        request,
        org_id: connection.map(|connection| connection.spec.organization.clone()).unwrap_or_default(),
        api_origin: connection
            .and_then(|connection| ApiEndpoint::from_spec(&connection.spec))
            .map(|endpoint| endpoint.origin)
            .unwrap_or_default(),
        service_user_id: connection
            .and_then(|connection| connection.client.as_ref())
            .map(|client| client.service_user_id().to_owned())
            .unwrap_or_default(),
        duration,
        duration_text: duration_text.unwrap_or_else(|| duration::format(duration)),
        revoke_within,
        activation_deadline: problems
            .parse_duration("activationDeadline", spec.activation_deadline.as_deref())
            .unwrap_or_else(|| {
                rule(|rules| rules.activation_deadline.as_deref(), duration::DEFAULT_ACTIVATION_DEADLINE)
            }),
        not_after: spec.not_after,
        ttl_after_expiry: problems
            .parse_duration("ttlAfterExpiry", spec.ttl_after_expiry.as_deref())
            .unwrap_or(SignedDuration::ZERO),
        failed_ttl: failed_ttl(object),
        being_deleted: object.metadata.deletion_timestamp.is_some(),
        circumstances: circumstances(object, connection),
        blocker: problems.into_blocker(),
        timing: context.settings.timing(),
    }
}

/// The object's `revokeWithin`, or the Organization's default.
pub fn revoke_within<'a>(object: &'a TemporaryPermissionGrant, connection: Option<&'a Connection>) -> Option<&'a str> {
    let default = || connection.and_then(|connection| connection.spec.grants.as_ref()?.revoke_within.as_deref());
    object.spec.revoke_within.as_deref().or_else(default)
}

/// Differs after a change of the resync annotation, or of the Organization or its credentials: each creates another
/// connection.
fn circumstances(object: &TemporaryPermissionGrant, connection: Option<&Connection>) -> u64 {
    let mut hasher = DefaultHasher::new();
    resync::value(object).hash(&mut hasher);
    connection.map(|connection| std::ptr::from_ref(connection).addr()).hash(&mut hasher);
    hasher.finish()
}

#[derive(Default)]
struct Problems(Vec<Failure>);

impl Problems {
    fn check(&mut self, result: Result<(), Failure>) {
        self.0.extend(result.err());
    }

    fn parse_duration(&mut self, field: &str, text: Option<&str>) -> Option<SignedDuration> {
        match duration::parse(text?) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let message = format!("{field}: {error}");
                self.0.push(Failure::new(reasons::INVALID_DURATION, RetryClass::Permanent, message));
                None
            }
        }
    }

    /// The problem that a retry is least likely to solve; among equals the first.
    fn into_blocker(self) -> Option<Failure> {
        let rank = |problem: &Failure| match problem.class {
            RetryClass::Permanent => 0,
            RetryClass::Persistent => 1,
            RetryClass::Transient => 2,
        };
        self.0.into_iter().min_by_key(rank)
    }
}

fn check_organization(object: &TemporaryPermissionGrant, connection: Option<&Connection>) -> Result<(), Failure> {
    let connection = existing(connection, &object.spec.organization_ref.name)?;
    connection.client_for(&object.namespace().unwrap_or_default())?;
    // The Organization tries again every few seconds, and wakes its grants when it connects.
    if let Some(failure) = connection.unreachable() {
        return Err(failure);
    }
    if connection.spec.suspend {
        let message = format!("the operator issues no access while Organization {} is suspended", connection.name);
        return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, message));
    }
    Ok(())
}

/// The ids in the status are meaningless in another remote organization.
fn check_remote_organization(object: &TemporaryPermissionGrant, connection: &Connection) -> Result<(), Failure> {
    let Some(status) = object.status.as_ref().filter(|status| status.organization.is_some()) else { return Ok(()) };
    let Some(endpoint) = ApiEndpoint::from_spec(&connection.spec) else { return Ok(()) };
    if endpoint.is_recorded(status.organization.as_ref(), status.api_origin.as_ref()) {
        return Ok(());
    }
    let message = format!(
        "this grant belongs to {} at {}, but Organization {} now connects to {} at {}. Create a new grant to request access \
         there",
        status.organization.as_deref().unwrap_or_default(),
        status.api_origin.as_deref().unwrap_or("an unknown API"),
        connection.name,
        endpoint.organization,
        endpoint.origin
    );
    Err(Failure::new(reasons::ORGANIZATION_MISMATCH, RetryClass::Permanent, message))
}

fn check_duration(requested: SignedDuration) -> Result<(), Failure> {
    let bounds = duration::SHORTEST_GRANT..=duration::LONGEST_GRANT;
    if bounds.contains(&requested) {
        return Ok(());
    }
    let message = format!(
        "duration must be at least {} and at most {}",
        duration::format(*bounds.start()),
        duration::format(*bounds.end())
    );
    Err(Failure::new(reasons::INVALID_DURATION, RetryClass::Permanent, message))
}

fn request(object: &TemporaryPermissionGrant, problems: &mut Problems) -> Request {
    Request::from_spec(&object.spec).unwrap_or_else(|| {
        let message = "set exactly one of conversation and permissions";
        problems.check(Err(Failure::new(reasons::INVALID_SPEC, RetryClass::Permanent, message)));
        Request::Permissions(Vec::new())
    })
}

/// The URL of a conversation must be a page of the Organization's console.
fn check_conversation_url(url: &str, connection: &Connection) -> Result<(), Failure> {
    if console::conversation_of(url).is_none() {
        let message =
            format!("conversation.url {url} is invalid: it must end in /admin/conversation/ and 24 hexadecimal digits");
        return Err(Failure::new(reasons::INVALID_SPEC, RetryClass::Permanent, message));
    }
    if connection.spec.has_page(url) {
        return Ok(());
    }
    let message = format!(
        "conversation.url {url} is not a page of {}, the console of Organization {}. Create a new grant that references \
         the Organization of this page",
        connection.spec.console(),
        connection.name
    );
    Err(Failure::new(reasons::ORGANIZATION_MISMATCH, RetryClass::Permanent, message))
}
