//! From a grant's object and its Organization to what the protocol works on.

use amigo_api::{TemporaryPermissionGrant, console, duration, reasons};
use amigo_lifecycle::grant::{Origin, Request, Spec, compact_uid};
use amigo_lifecycle::{Failure, RetryClass};
use jiff::SignedDuration;
use kube::ResourceExt as _;

use crate::controller::{
    connection::{Connection, existing},
    context::Context,
};

const DEFAULT_DURATION: SignedDuration = SignedDuration::from_hours(2);
const DEFAULT_ACTIVATION_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

/// Builds the protocol's view of an object. Whatever stands in the way becomes its blocker; what is live goes
/// on to its end all the same.
pub fn build(object: &TemporaryPermissionGrant, connection: Option<&Connection>, context: &Context) -> Spec {
    let spec = &object.spec;
    let mut problems = Problems::default();
    let namespace = object.namespace().unwrap_or_default();
    problems.note(usable(object, connection, &namespace));
    let rule = |rule: fn(&amigo_api::GrantRules) -> Option<&str>, default| {
        connection.map_or(default, |connection| connection.grant_rule(rule, default))
    };
    let default = rule(|rules| rules.default_duration.as_deref(), DEFAULT_DURATION);
    let most = rule(|rules| rules.max_duration.as_deref(), duration::LONGEST_GRANT);
    let asked = problems.duration("duration", spec.duration.as_deref()).unwrap_or(default);
    problems.note(within_bounds(asked));
    let duration_text = spec.duration.clone().filter(|_| asked <= most);
    let duration = asked.min(most);
    let revoke_within = spec.revoke_within.as_deref();
    let default_revoke = connection.and_then(|connection| connection.spec.grants.as_ref()?.revoke_within.as_deref());
    problems.note(connection.and_then(|connection| moved(object, connection)));
    let request = request(object, &mut problems);
    if let (Some(connection), Some(url)) =
        (connection, spec.conversation.as_ref().and_then(|conversation| conversation.url.as_deref()))
    {
        problems.note(belongs(url, connection));
    }
    Spec {
        origin: Origin {
            cluster: context.cluster.clone(),
            uid: compact_uid(&object.uid().unwrap_or_default()),
            namespace,
            name: object.name_any(),
        },
        holder: context.settings.identity.clone(),
        generation: object.metadata.generation.unwrap_or_default(),
        created_at: object.creation_timestamp().map_or_else(|| context.clock.now(), |time| time.0),
        request,
        org_id: connection.map(|connection| connection.spec.organization.clone()).unwrap_or_default(),
        service_user_id: connection
            .and_then(|connection| connection.client.as_ref())
            .map(|client| client.service_user_id().to_owned())
            .unwrap_or_default(),
        duration,
        duration_text: duration_text.unwrap_or_else(|| duration::format(duration)),
        revoke_within: problems.duration("revokeWithin", revoke_within.or(default_revoke)),
        activation_deadline: problems
            .duration("activationDeadline", spec.activation_deadline.as_deref())
            .unwrap_or_else(|| rule(|rules| rules.activation_deadline.as_deref(), DEFAULT_ACTIVATION_DEADLINE)),
        not_after: spec.not_after,
        ttl_after_expiry: problems
            .duration("ttlAfterExpiry", spec.ttl_after_expiry.as_deref())
            .unwrap_or(SignedDuration::ZERO),
        being_deleted: object.metadata.deletion_timestamp.is_some(),
        blocker: problems.worst(),
        timing: context.settings.timing(),
    }
}

/// What stands in the way, the most lasting first.
#[derive(Default)]
struct Problems(Vec<Failure>);

impl Problems {
    fn note(&mut self, problem: Option<Failure>) {
        self.0.extend(problem);
    }

    fn duration(&mut self, field: &str, text: Option<&str>) -> Option<SignedDuration> {
        match duration::parse(text?) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let message = format!("{field}: {error}");
                self.0.push(Failure::new(reasons::INVALID_DURATION, RetryClass::Permanent, message));
                None
            }
        }
    }

    fn worst(self) -> Option<Failure> {
        let rank = |problem: &Failure| match problem.class {
            RetryClass::Permanent => 0,
            RetryClass::Persistent => 1,
            RetryClass::Transient => 2,
        };
        self.0.into_iter().min_by_key(rank)
    }
}

fn usable(object: &TemporaryPermissionGrant, connection: Option<&Connection>, namespace: &str) -> Option<Failure> {
    let connection = match existing(connection, &object.spec.organization_ref.name) {
        Ok(connection) => connection,
        Err(missing) => return Some(missing),
    };
    if let Err(closed) = connection.client_for(namespace) {
        return Some(closed);
    }
    let message = format!("Organization {} is suspended; nothing is issued", connection.name);
    connection.spec.suspend.then(|| Failure::new(reasons::SUSPENDED, RetryClass::Transient, message))
}

/// What was asked of one remote organization is not asked of another: its ids mean nothing there.
fn moved(object: &TemporaryPermissionGrant, connection: &Connection) -> Option<Failure> {
    let asked = object.status.as_ref()?.organization.as_ref()?;
    let message = format!(
        "Organization {} now connects to {}, and this grant was asked of {asked}: create another object",
        connection.name, connection.spec.organization
    );
    let reason = reasons::ORGANIZATION_MISMATCH;
    (*asked != connection.spec.organization).then(|| Failure::new(reason, RetryClass::Permanent, message))
}

fn within_bounds(asked: SignedDuration) -> Option<Failure> {
    let bounds = duration::SHORTEST_GRANT..=duration::LONGEST_GRANT;
    let message = format!(
        "duration must be at least {} and at most {}",
        duration::format(*bounds.start()),
        duration::format(*bounds.end())
    );
    (!bounds.contains(&asked)).then(|| Failure::new(reasons::INVALID_DURATION, RetryClass::Permanent, message))
}

fn request(object: &TemporaryPermissionGrant, problems: &mut Problems) -> Request {
    Request::from_spec(&object.spec).unwrap_or_else(|| {
        let message = "set exactly one of conversation and permissions";
        problems.note(Some(Failure::new(reasons::INVALID_SPEC, RetryClass::Permanent, message)));
        Request::Permissions(Vec::new())
    })
}

/// A conversation's page must be one of the Organization's console.
fn belongs(url: &str, connection: &Connection) -> Option<Failure> {
    let console = connection.spec.console();
    if console::conversation_of(url).is_none() {
        let message = format!("conversation.url {url} does not end in /admin/conversation/ and 24 hexadecimal digits");
        return Some(Failure::new(reasons::INVALID_SPEC, RetryClass::Permanent, message));
    }
    let message = format!(
        "conversation.url {url} is not a page of Organization {}, whose console is {console}: name the Organization it belongs to",
        connection.name
    );
    let reason = reasons::ORGANIZATION_MISMATCH;
    (!connection.spec.has_page(url)).then(|| Failure::new(reason, RetryClass::Permanent, message))
}
