//! The request as a Kubernetes object.

use amigo_api::{
    ConversationReference, GrantRules, NameReference, TemporaryPermissionGrant, TemporaryPermissionGrantSpec,
    UserReference, conditions::whole_second, duration,
};
use jiff::{SignedDuration, Timestamp};
use kube::core::ObjectMeta;

use super::{args::RequestAccessArgs, values::Conversation};

/// The maximum in the schema.
const LONGEST_TTL: SignedDuration = SignedDuration::from_hours(8760);

/// Characters that look different from each other and do not form words.
const ALPHABET: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";
const SUFFIX_LENGTH: usize = 5;
const LONGEST_USER_PART: usize = 30;
const ID_PART: usize = 6;

/// What the options leave open.
pub struct RequestSpec<'a> {
    pub organization: &'a str,
    /// The user who gets access.
    pub email: &'a str,
    /// The cluster user who requests it.
    pub requested_by: Option<&'a str>,
    pub namespace: &'a str,
    pub not_after: Option<Timestamp>,
    pub ttl_after_expiry: Option<String>,
    /// For a unique name.
    pub random: u32,
}

/// What makes a manifest grant access once, although a tool creates its object again whenever it is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct SingleUse {
    /// The latest end of access that is requested now.
    pub not_after: Timestamp,
    /// Keeps the object until then: a new one would be a new request.
    pub ttl_after_expiry: Option<String>,
}

impl SingleUse {
    pub fn new(args: &RequestAccessArgs, rules: Option<&GrantRules>, now: Timestamp) -> Self {
        let rule = |text: Option<&str>, default| text.and_then(|text| duration::parse(text).ok()).unwrap_or(default);
        let default = rules.and_then(|rules| rules.default_duration.as_deref());
        let duration = rule(args.duration.as_deref().or(default), duration::DEFAULT_GRANT);
        let deadline =
            rule(rules.and_then(|rules| rules.activation_deadline.as_deref()), duration::DEFAULT_ACTIVATION_DEADLINE);
        let latest = || whole_second(now.saturating_add(duration + deadline).unwrap_or(now));
        let not_after = args.not_after.unwrap_or_else(latest);
        let kept = now.duration_until(not_after) - duration;
        let kept = SignedDuration::from_secs(kept.as_secs() + i64::from(kept.subsec_nanos() > 0)).min(LONGEST_TTL);
        let needed = kept.is_positive().then(|| duration::format(kept));
        Self { not_after, ttl_after_expiry: args.ttl_after_expiry.clone().or(needed) }
    }
}

pub fn build(args: &RequestAccessArgs, spec: &RequestSpec<'_>) -> TemporaryPermissionGrant {
    let id = args.conversation.id();
    let name = args.name.clone().unwrap_or_else(|| name(spec.email, id, spec.random));
    let object_spec = TemporaryPermissionGrantSpec {
        organization_ref: NameReference { name: spec.organization.to_owned() },
        user: UserReference { email: Some(spec.email.to_owned()), user_id: None },
        justification: args.justification.clone(),
        duration: args.duration.clone(),
        conversation: Some(reference(args)),
        permissions: None,
        revoke_within: args.revoke_within.clone(),
        activation_deadline: None,
        not_after: spec.not_after,
        ttl_after_expiry: spec.ttl_after_expiry.clone(),
        requested_by: spec.requested_by.map(str::to_owned),
    };
    let metadata = ObjectMeta { name: Some(name), namespace: Some(spec.namespace.to_owned()), ..ObjectMeta::default() };
    TemporaryPermissionGrant { metadata, spec: object_spec, status: None }
}

fn reference(args: &RequestAccessArgs) -> ConversationReference {
    let none = ConversationReference::default();
    match (&args.owner_user_id, &args.conversation) {
        (Some(owner), _) => ConversationReference { owner_user_id: Some(owner.clone()), ..none },
        (None, Conversation::Page { url, .. }) => ConversationReference { url: Some(url.clone()), ..none },
        (None, Conversation::Id(id)) => ConversationReference { id: Some(id.clone()), ..none },
    }
}

/// A readable name: the user, the start of the conversation ID, and five random characters.
///
/// Made here and not by the API server, so that it is known even when the response to the creation is lost.
fn name(email: &str, id: &str, random: u32) -> String {
    let local = email.split('@').next().unwrap_or_default().to_ascii_lowercase();
    let plain: String = local.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let user: String = plain.chars().take(LONGEST_USER_PART).collect();
    let user = Some(user.trim_matches('-')).filter(|user| !user.is_empty()).unwrap_or("request");
    let conversation = id.get(..ID_PART).unwrap_or(id);
    format!("{user}-{conversation}-{}", suffix(random))
}

fn suffix(random: u32) -> String {
    let base = ALPHABET.len();
    let digits = std::iter::successors(usize::try_from(random).ok(), |rest| Some(rest / base));
    digits.take(SUFFIX_LENGTH).map(|rest| char::from(ALPHABET[rest % base])).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const ID: &str = "abc123def456abc123def456";

    #[derive(Parser)]
    struct TestCommand {
        #[command(flatten)]
        args: RequestAccessArgs,
    }

    fn spec(conversation: &str, options: &[&str]) -> TemporaryPermissionGrantSpec {
        let line = [&["x", conversation, "-j", "Debugging reported issue #42"], options].concat();
        let args = TestCommand::try_parse_from(line).unwrap().args;
        let spec = RequestSpec {
            organization: "production",
            email: "eng@example.com",
            requested_by: Some("oidc:eng@example.com"),
            namespace: "support",
            not_after: args.not_after,
            ttl_after_expiry: args.ttl_after_expiry.clone(),
            random: 7,
        };
        build(&args, &spec).spec
    }

    #[test]
    fn first_example_of_the_guide_becomes_a_request() {
        let url = format!("https://org.amigo.ai/admin/conversation/{ID}");
        let spec = spec(&url, &[]);
        assert_eq!(spec.organization_ref.name, "production");
        assert_eq!(spec.conversation.unwrap(), ConversationReference { url: Some(url), ..Default::default() });
        assert_eq!((spec.duration, spec.revoke_within), (None, None));
        assert_eq!(spec.requested_by.as_deref(), Some("oidc:eng@example.com"));
    }

    #[test]
    fn known_owner_replaces_the_conversation() {
        let spec = spec(ID, &["--owner-user-id", "user-owner-7f3a", "-d", "PT4H"]);
        let owner = Some("user-owner-7f3a".to_owned());
        let wanted = ConversationReference { owner_user_id: owner, ..ConversationReference::default() };
        assert_eq!(spec.conversation, Some(wanted));
        assert_eq!(spec.duration.as_deref(), Some("PT4H"));
    }

    fn single_use(options: &[&str], rules: Option<&GrantRules>) -> (i64, Option<String>) {
        let line = [&["x", ID, "-j", "Debugging reported issue #42"], options].concat();
        let args = TestCommand::try_parse_from(line).unwrap().args;
        let SingleUse { not_after, ttl_after_expiry } = SingleUse::new(&args, rules, Timestamp::UNIX_EPOCH);
        (not_after.as_second() / 60, ttl_after_expiry)
    }

    #[test]
    fn manifest_ends_after_deadline_and_duration() {
        let kept = |text: &str| Some(text.to_owned());
        let activation_deadline = kept("PT10M");
        let rules = GrantRules { default_duration: kept("PT30M"), activation_deadline, ..GrantRules::default() };
        assert_eq!(single_use(&[], None), (180, kept("PT1H")));
        assert_eq!(single_use(&["-d", "PT4H"], None), (300, kept("PT1H")));
        assert_eq!(single_use(&[], Some(&rules)), (40, kept("PT10M")));
    }

    #[test]
    fn object_is_kept_until_not_after() {
        let until = |time: &str| single_use(&["-d", "PT1M", "--not-after", time], None).1;
        assert_eq!(until("2000-01-01T00:00:00Z").as_deref(), Some("P365D"));
        let kept = ["--ttl-after-expiry", "PT5M"];
        assert_eq!(single_use(&kept, None).1.as_deref(), Some("PT5M"));
    }

    #[test]
    fn names_are_readable() {
        assert_eq!(name("eng@example.com", ID, 0), "eng-abc123-bbbbb");
        assert_eq!(name("Erin.O'Neil+test@example.com", ID, 28), "erin-o-neil-test-abc123-ccbbb");
        assert_eq!(name("_@example.com", ID, 0), "request-abc123-bbbbb");
        assert!(name(&format!("{}@example.com", "x".repeat(200)), ID, u32::MAX).len() <= 63);
    }
}
