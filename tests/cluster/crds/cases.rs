//! The table: every rule of the schemas, with objects that keep it and objects that break it.

use amigo_client::Endpoint;

use super::table::{Case, Kind};

pub static ORGANIZATION: Kind = Kind {
    name: "Organization",
    is_namespaced: false,
    spec: "{organization: acme, credentialsSecretRef: {name: acme}}",
};
pub static ROLE: Kind = Kind {
    name: "Role",
    is_namespaced: true,
    spec: "{organizationRef: {name: acme}, description: Reviews conversations}",
};
pub static ROLE_ASSIGNMENT: Kind = Kind {
    name: "RoleAssignment",
    is_namespaced: true,
    spec: "{organizationRef: {name: acme}, roleRef: {name: reviewer}, user: {email: eng@example.com}}",
};
pub static GRANT: Kind = Kind {
    name: "TemporaryPermissionGrant",
    is_namespaced: true,
    spec: "{organizationRef: {name: acme}, user: {email: eng@example.com},
        justification: 'Ticket 4711: wrong slot offered', conversation: {id: abc123def456abc123def456}}",
};

/// The whole table.
pub fn all() -> Vec<Case> {
    [organization(), rules_of_organization(), role(), role_assignment(), grant(), conversation()]
        .into_iter()
        .chain([&ORGANIZATION, &ROLE, &ROLE_ASSIGNMENT, &GRANT].map(required))
        .chain([&ROLE, &ROLE_ASSIGNMENT, &GRANT].map(|kind| names(kind, "organizationRef")))
        .chain([names(&ORGANIZATION, "credentialsSecretRef"), names(&ROLE_ASSIGNMENT, "roleRef")])
        .chain([user(&ROLE_ASSIGNMENT), user(&GRANT)])
        .chain([permissions(&ROLE, "permissionGrants"), permissions(&GRANT, "permissions")])
        .chain([values(&ROLE, "permissionGrants"), values(&GRANT, "permissions")])
        .chain(DURATIONS.map(durations))
        .flatten()
        .collect()
}

fn organization() -> Vec<Case> {
    let slug = "organization must be the ID in Amigo API paths";
    let namespaces = "spec.allowedNamespaces";
    vec![
        ORGANIZATION
            .rule("spec.organization", "organization is immutable: create another Organization instead")
            .of_existing("{}")
            .accepts("{organization: acme, suspend: true}")
            .refuses("{organization: other}"),
        ORGANIZATION
            .rule("spec.organization", slug)
            .accepts("{organization: Acme_women-a-useast-prod}")
            .refuses("{organization: acme/other}")
            .refuses("{organization: -acme}")
            .refuses("{organization: ''}"),
        too_long(&ORGANIZATION, "organization", 128),
        ORGANIZATION
            .rule("spec.apiUrl", "apiUrl must be an https URL without a path")
            .accepts("{}")
            .accepts("{apiUrl: 'https://api-ca-central-1.amigo.ai/'}")
            .accepts("{apiUrl: 'http://127.0.0.1:8090'}")
            .refuses("{apiUrl: api.amigo.ai}")
            .refuses("{apiUrl: 'https://api.amigo.ai/v1'}")
            .refuses("{apiUrl: 'https://user@api.amigo.ai'}"),
        ORGANIZATION
            .rule("spec.consoleUrl", "consoleUrl must be an https URL without a path")
            .accepts("{consoleUrl: 'https://acme.amigo.ai'}")
            .refuses("{consoleUrl: 'https://acme.amigo.ai/admin'}"),
        ORGANIZATION
            .rule(namespaces, "allowedNamespaces must contain namespace names, or * for all namespaces")
            .accepts("{allowedNamespaces: []}")
            .accepts("{allowedNamespaces: [on-call, support]}")
            .refuses("{allowedNamespaces: [On-Call]}")
            .refuses("{allowedNamespaces: ['team-*']}"),
        ORGANIZATION
            .rule(namespaces, "allowedNamespaces must be either * alone or a list of names")
            .accepts("{allowedNamespaces: ['*']}")
            .refuses("{allowedNamespaces: ['*', support]}"),
        ORGANIZATION
            .rule("spec.allowedNamespaces[1]", "Duplicate value")
            .accepts("{allowedNamespaces: [support]}")
            .refuses("{allowedNamespaces: [support, support]}"),
        chosen(&ORGANIZATION, "permissionModel", "{permissionModel: VALUE}", &["Detect", "AllowOnly", "AllowDeny"]),
        chosen(&ORGANIZATION, "roles.driftPolicy", "{roles: {driftPolicy: VALUE}}", &["Correct", "Report"]),
    ]
}

fn rules_of_organization() -> Vec<Case> {
    let share = "spec.rateLimit.share";
    let limits = "spec.rateLimit.limits";
    let every_endpoint: Vec<_> = Endpoint::ALL.iter().map(|endpoint| format!("{endpoint}: 1")).collect();
    vec![
        ORGANIZATION
            .rule(share, "should be greater than or equal to 1")
            .accepts("{rateLimit: {share: 1}}")
            .refuses("{rateLimit: {share: 0}}"),
        ORGANIZATION
            .rule(share, "should be less than or equal to 100")
            .accepts("{rateLimit: {share: 100}}")
            .refuses("{rateLimit: {share: 101}}"),
        ORGANIZATION
            .rule(limits, "limits may contain only the endpoints sign_in, organization, api_keys")
            .accepts(format!("{{rateLimit: {{limits: {{{}}}}}}}", every_endpoint.join(", ")))
            .refuses("{rateLimit: {limits: {delete_role: 5}}}"),
        ORGANIZATION
            .rule(limits, "limits must be 1 to 100000 requests per minute")
            .accepts("{rateLimit: {limits: {users: 1}}}")
            .accepts("{rateLimit: {limits: {users: 100000}}}")
            .refuses("{rateLimit: {limits: {users: 0}}}")
            .refuses("{rateLimit: {limits: {users: 100001}}}")
            .refuses("{rateLimit: {limits: {users: 5000000000}}}"),
    ]
}

fn role() -> Vec<Case> {
    let immutable = "roleName is immutable: create another Role instead";
    let grants = |count: usize| format!("{{permissionGrants: [{}]}}", "{permissionName: 'A:B'}, ".repeat(count));
    vec![
        ROLE.rule("spec", immutable)
            .of_existing("{roleName: moderator}")
            .accepts("{roleName: moderator, description: Moderates}")
            .refuses("{roleName: reviewer}")
            .refuses("{roleName: null}"),
        ROLE.rule("spec", immutable)
            .of_existing("{}")
            .accepts("{description: Moderates}")
            .refuses("{roleName: moderator}"),
        ROLE.rule("spec.organizationRef", "organizationRef is immutable: create another Role instead")
            .of_existing("{}")
            .accepts("{organizationRef: {name: acme}}")
            .refuses("{organizationRef: {name: other}}"),
        role_name(&ROLE, "roleName", "{roleName: VALUE}"),
        ROLE.rule("spec.roleName", "roleName must not start with Default: Amigo reserves these names")
            .accepts("{roleName: My DefaultUserRole}")
            .refuses("{roleName: DefaultUserRole}")
            .refuses("{roleName: Default}"),
        too_long(&ROLE, "roleName", 256),
        ROLE.rule("spec.description", "description must not contain characters that change the direction of text")
            .accepts("{description: קורא}")
            .refuses("{description: \"a\\u202Eb\"}"),
        ROLE.rule("spec.description", "description must not be blank: say what the role is for")
            .accepts("{description: x}")
            .refuses("{description: \"\\u200B\\u3164\"}")
            .refuses("{description: \"  \\t\"}")
            .refuses("{description: ''}"),
        too_long(&ROLE, "description", 1024),
        chosen(&ROLE, "frontendView", "{frontendView: VALUE}", &["client", "admin"]),
        chosen(&ROLE, "managementPolicy", "{managementPolicy: VALUE}", &["Manage", "Observe"]),
        chosen(&ROLE, "adoption", "{adoption: VALUE}", &["IfMatches", "Override", "Never"]),
        chosen(&ROLE, "driftPolicy", "{driftPolicy: VALUE}", &["Correct", "Report"]),
        chosen(&ROLE, "deletionPolicy", "{deletionPolicy: VALUE}", &["Retain", "Disable"]),
        chosen(
            &ROLE,
            "permissionGrants[0].action",
            "{permissionGrants: [{permissionName: 'A:B', action: VALUE}]}",
            &["Allow", "Deny"],
        ),
        ROLE.rule("spec.permissionGrants", "must have at most 256 items").accepts(grants(256)).refuses(grants(257)),
        ROLE.rule("spec.isBaseRole", "must be of type boolean")
            .accepts("{isBaseRole: true}")
            .refuses("{isBaseRole: 'true'}"),
        ROLE.rule("spec", "isBaseRole is immutable: create another Role instead")
            .of_existing("{isBaseRole: true}")
            .accepts("{isBaseRole: true, description: Moderates}")
            .refuses("{isBaseRole: false}")
            .refuses("{isBaseRole: null}"),
    ]
}

fn role_assignment() -> Vec<Case> {
    let either = "set exactly one of roleRef (a Role object) and roleName (a role at Amigo)";
    vec![
        ROLE_ASSIGNMENT
            .rule("spec", either)
            .accepts("{roleRef: null, roleName: DefaultUserRole}")
            .accepts("{roleRef: '~null', roleName: DefaultUserRole}")
            .refuses("{roleName: DefaultUserRole}")
            .refuses("{roleRef: null}")
            .refuses("{roleRef: '~null'}"),
        ROLE_ASSIGNMENT
            .rule("spec.organizationRef", "organizationRef is immutable: create another RoleAssignment instead")
            .of_existing("{}")
            .accepts("{roleRef: {name: moderator}}")
            .refuses("{organizationRef: {name: other}}"),
        ROLE_ASSIGNMENT
            .rule("spec.user", "user is immutable: create another RoleAssignment instead")
            .of_existing("{}")
            .accepts("{user: {email: eng@example.com}, fallbackRoleName: DefaultUserRole}")
            .refuses("{user: {email: other@example.com}}")
            .refuses("{user: {email: null, userId: user-eng}}"),
        chosen(&ROLE_ASSIGNMENT, "managementPolicy", "{managementPolicy: VALUE}", &["Manage", "Observe"]),
        role_name(&ROLE_ASSIGNMENT, "roleName", "{roleRef: null, roleName: VALUE}"),
        role_name(&ROLE_ASSIGNMENT, "fallbackRoleName", "{fallbackRoleName: VALUE}"),
    ]
}

fn grant() -> Vec<Case> {
    let immutable = "the spec of a grant is immutable: delete the grant and create another";
    let permissions =
        |count: usize| format!("{{conversation: null, permissions: [{}]}}", "{permissionName: 'A:B'}, ".repeat(count));
    vec![
        GRANT
            .rule("spec", immutable)
            .of_existing("{duration: PT1H}")
            .accepts("{duration: PT1H}")
            .refuses("{duration: PT2H}")
            .refuses("{duration: null}")
            .refuses("{justification: 'Another reason altogether'}")
            .refuses("{revokeWithin: PT5M}"),
        GRANT
            .rule("spec", "set exactly one of conversation and permissions")
            .accepts(permissions(1))
            .accepts("{conversation: '~null', permissions: [{permissionName: 'A:B'}]}")
            .refuses("{permissions: [{permissionName: 'A:B'}]}")
            .refuses("{conversation: null}")
            .refuses("{conversation: '~null'}"),
        GRANT
            .rule("spec.justification", "justification must not contain characters that change the direction of text")
            .accepts("{justification: 'נימוק בשפה אחרת'}")
            .refuses("{justification: \"SUP-1: \\u202Enosaer doog a\"}")
            .refuses("{justification: \"SUP-1: a good reason\\u2069\"}"),
        GRANT
            .rule("spec.justification", "justification must be at least 10 visible characters after trimming")
            .accepts("{justification: '0123456789'}")
            .accepts("{justification: ärgerlich!}")
            .accepts("{justification: \"\\u200Ba good\\u200D reason\\uFEFF\"}")
            .accepts("{justification: \"in two\\nlines\"}")
            .refuses("{justification: \"\\u200B\\u200B\\u200B\\u200B\\u200B\\u200B\\u200B\\u200B\\u200B\\u200B\"}")
            .refuses("{justification: \"\\u200B           x\"}")
            .refuses("{justification: \"01234\\u200B5678\"}")
            .refuses("{justification: '  012345678  '}")
            .refuses("{justification: '             '}"),
        too_long(&GRANT, "justification", 1024),
        too_long(&GRANT, "requestedBy", 253),
        GRANT.rule("spec.permissions", "should have at least 1 items").accepts(permissions(1)).refuses(permissions(0)),
        GRANT.rule("spec.permissions", "must have at most 20 items").accepts(permissions(20)).refuses(permissions(21)),
        GRANT
            .rule(
                "spec.notAfter",
                "notAfter must be an RFC 3339 time with uppercase T and Z, from 2000 to 2999, such as",
            )
            .accepts("{notAfter: '2027-01-31T18:00:00Z'}")
            .accepts("{notAfter: '2027-01-31T18:00:00.123456789+01:00'}")
            .accepts("{notAfter: '2028-02-29T00:00:00Z'}")
            .accepts("{notAfter: '2400-02-29T00:00:00Z'}")
            .refuses("{notAfter: tomorrow}")
            .refuses("{notAfter: '2027-01-31'}")
            .refuses("{notAfter: '9999-12-31T23:59:59Z'}")
            .refuses("{notAfter: '2026-11-28T18:00:00+99:99'}")
            .refuses("{notAfter: '2026-11-28t18:00:00z'}")
            .refuses("{notAfter: '2027-02-29T00:00:00Z'}")
            .refuses("{notAfter: '2100-02-29T00:00:00Z'}")
            .refuses("{notAfter: '2027-04-31T00:00:00Z'}")
            .refuses("{notAfter: '2027-01-31T18:00:60Z'}"),
    ]
}

fn conversation() -> Vec<Case> {
    let with = |members: &str| format!("{{conversation: {members}}}");
    let url = |url: &str| with(&format!("{{id: null, url: '{url}'}}"));
    vec![
        GRANT
            .rule("spec.conversation", "set exactly one of conversation.id, conversation.url and")
            .accepts(with("{id: '~null', ownerUserId: user-owner}"))
            .refuses(with("{ownerUserId: user-owner}"))
            .refuses(with("{url: 'https://acme.amigo.ai/admin/conversation/abc123def456abc123def456'}"))
            .refuses(with("{id: null}"))
            .refuses(with("{id: '~null'}")),
        GRANT
            .rule("spec.conversation.id", "id must be 24 lowercase hexadecimal digits")
            .accepts(with("{id: 0123456789abcdef01234567}"))
            .refuses(with("{id: abc123def456abc123def45}"))
            .refuses(with("{id: ABC123DEF456ABC123DEF456}"))
            .refuses(with("{id: abc123def456abc123def45g}")),
        GRANT
            .rule("spec.conversation.ownerUserId", "ownerUserId must not contain whitespace or invisible characters")
            .accepts(with("{id: null, ownerUserId: user-owner}"))
            .refuses(with("{id: null, ownerUserId: user owner}")),
        GRANT
            .rule("spec.conversation.url", "url must look like https://ORGANIZATION.amigo.ai/admin/conversation/ID")
            .accepts(url("https://acme.amigo.ai/admin/conversation/abc123def456abc123def456"))
            .accepts(url("https://acme.amigo.ai/admin/conversation/abc123def456abc123def456/?tab=insights#last"))
            .refuses(url("https://acme.amigo.ai/admin/user/abc123def456abc123def456"))
            .refuses(url("https://acme.amigo.ai@example.com/admin/conversation/abc123def456abc123def456"))
            .refuses(url("acme.amigo.ai/admin/conversation/abc123def456abc123def456")),
    ]
}

/// Members that must be there.
fn required(kind: &'static Kind) -> Vec<Case> {
    let members: &[(&str, &str, &str)] = match kind.name {
        "Organization" => &[
            ("organization", "{}", "{organization: null}"),
            ("credentialsSecretRef", "{}", "{credentialsSecretRef: null}"),
        ],
        "Role" => &[
            ("description", "{}", "{description: null}"),
            ("organizationRef", "{}", "{organizationRef: null}"),
            ("permissionGrants[0].permissionName", "{permissionGrants: []}", "{permissionGrants: [{action: Deny}]}"),
        ],
        "RoleAssignment" => &[("organizationRef", "{}", "{organizationRef: null}"), ("user", "{}", "{user: null}")],
        _ => &[
            ("organizationRef", "{}", "{organizationRef: null}"),
            ("user", "{}", "{user: null}"),
            ("justification", "{}", "{justification: null}"),
            ("permissions[0].permissionName", "{}", "{conversation: null, permissions: [{}]}"),
        ],
    };
    let case = |(member, accepted, refused): &(&str, &str, &str)| {
        kind.rule(format!("spec.{member}"), "Required value").accepts(*accepted).refuses(*refused)
    };
    members.iter().map(case).collect()
}

/// The `name` of a reference.
fn names(kind: &'static Kind, reference: &str) -> Vec<Case> {
    let field = format!("spec.{reference}.name");
    let named = |name: &str| format!("{{{reference}: {{name: {name}}}}}");
    vec![
        kind.rule(&field, "Required value").accepts("{}").refuses(named("null")),
        kind.rule(&field, "name must consist of lowercase letters, digits, - and .")
            .accepts(named("a"))
            .accepts(named("acme-2.prod"))
            .refuses(named("Acme"))
            .refuses(named("acme-"))
            .refuses(named("other/acme")),
    ]
}

/// Who a RoleAssignment or a grant is for.
fn user(kind: &'static Kind) -> Vec<Case> {
    vec![
        kind.rule("spec.user", "set exactly one of user.email and user.userId")
            .accepts("{user: {email: null, userId: user-eng}}")
            .accepts("{user: {email: '~null', userId: user-eng}}")
            .refuses("{user: {userId: user-eng}}")
            .refuses("{user: {email: null}}")
            .refuses("{user: {email: '~null'}}"),
        kind.rule("spec.user.email", "email must be one email address, such as dana@example.com")
            .accepts("{user: {email: first.last+tag@sub.example.com}}")
            .refuses("{user: {email: eng}}")
            .refuses("{user: {email: 'a@example.com, b@example.com'}}")
            .refuses("{user: {email: 'Eng <eng@example.com>'}}")
            .refuses("{user: {email: \"eng\\u200B@example.com\"}}"),
        kind.rule("spec.user.userId", "userId must not contain whitespace or invisible characters")
            .accepts("{user: {email: null, userId: 'auth0|66f1'}}")
            .refuses("{user: {email: null, userId: user eng}}")
            .refuses("{user: {email: null, userId: \"user\\u200Beng\"}}"),
    ]
}

/// What an attribute is compared with: text, a number or a boolean, and nothing else.
fn values(kind: &'static Kind, list: &str) -> Vec<Case> {
    let attribute = format!("spec.{list}[0].conditions.org_id");
    let condition = |condition: &str| {
        format!("{{conversation: null, {list}: [{{permissionName: 'A:B', conditions: {{org_id: {condition}}}}}]}}")
    };
    let equals = |value: &str| condition(&format!("{{type: Equals, value: {value}}}"));
    let one_of = |value: &str| condition(&format!("{{type: In, values: [acme, {value}]}}"));
    let (longest, too_long) = ("x".repeat(256), "x".repeat(257));
    let refusals = [
        ("{}", "should have at least 1 properties"),
        ("{a: b}", "must have at most 0 "),
        ("[]", "should have at least 1 items"),
        ("[acme]", "must have at most 0 items"),
        (&too_long, "may not be more than 256"),
    ];
    let case = |(value, because): (&str, &str)| {
        let alone = kind.rule(format!("{attribute}.value"), because).refuses(equals(value));
        let among = kind.rule(format!("{attribute}.values[1]"), because).refuses(one_of(value));
        ["acme", "''", "1.5", "false", &longest]
            .iter()
            .fold([alone, among], |[alone, among], value| [alone.accepts(equals(value)), among.accepts(one_of(value))])
    };
    let among_null = kind
        .rule(format!("{attribute}.values[1]"), "should have at least 1 properties")
        .accepts(one_of("acme"))
        .refuses(one_of("null"));
    refusals.into_iter().flat_map(case).chain([among_null]).collect()
}

/// A list of permissions under conditions.
fn permissions(kind: &'static Kind, list: &str) -> Vec<Case> {
    let first = format!("spec.{list}[0]");
    let attribute = format!("{first}.conditions.org_id");
    let named = |name: &str| format!("{{conversation: null, {list}: [{{permissionName: '{name}'}}]}}");
    let under = |conditions: &str| {
        format!("{{conversation: null, {list}: [{{permissionName: 'A:B', conditions: {conditions}}}]}}")
    };
    let org = |condition: &str| under(&format!("{{org_id: {condition}}}"));
    let most = if list == "permissions" { 32 } else { 512 };
    let in_total = |count: usize| {
        let all: Vec<_> = (0..count).map(|index| format!("a{index}: {{type: Equals, value: 1}}")).collect();
        let grants =
            all.chunks(16).map(|some| format!("{{permissionName: 'A:B', conditions: {{{}}}}}", some.join(", ")));
        format!("{{conversation: null, {list}: [{}]}}", grants.collect::<Vec<_>>().join(", "))
    };
    let attributes = |count: usize| {
        let conditions: Vec<_> = (0..count).map(|index| format!("a{index}: {{type: Equals, value: 1}}")).collect();
        under(&format!("{{{}}}", conditions.join(", ")))
    };
    vec![
        kind.rule(format!("{first}.permissionName"), "permissionName must be Category:Action")
            .accepts(named("Conversation:GetMessage"))
            .refuses(named("Conversation.GetMessage"))
            .refuses(named("Conversation:*"))
            .refuses(named("GetMessage")),
        kind.rule("<nil>", format!("\"{attribute}\" must validate one and only one schema (oneOf)"))
            .accepts(org("{type: Equals, value: acme}"))
            .accepts(org("{type: NotEquals, value: true}"))
            .accepts(org("{type: Equals, value: 1.5}"))
            .accepts(org("{type: In, values: [acme, 7, false]}"))
            .refuses(org("{type: Equals}"))
            .refuses(org("{type: Equals, value: null}"))
            .refuses(org("{type: NotEquals, values: [acme]}"))
            .refuses(org("{type: Equals, value: acme, values: [acme]}"))
            .refuses(org("{type: In, value: acme}"))
            .refuses(org("{type: In, values: [acme], value: acme}")),
        kind.rule(format!("{attribute}.type"), "Unsupported value")
            .accepts(org("{type: Equals, value: acme}"))
            .refuses(org("{type: Like, value: acme}")),
        kind.rule(format!("{attribute}.type"), "Required value")
            .accepts(org("{type: Equals, value: acme}"))
            .refuses(org("{value: acme}")),
        kind.rule(format!("{attribute}.values"), "should have at least 1 items")
            .accepts(org("{type: In, values: [acme]}"))
            .refuses(org("{type: In, values: []}")),
        kind.rule(format!("{attribute}.values"), "must have at most 32 items")
            .accepts(org(&format!("{{type: In, values: [{}]}}", "1, ".repeat(32))))
            .refuses(org(&format!("{{type: In, values: [{}]}}", "1, ".repeat(33)))),
        kind.rule(format!("{first}.conditions"), "the attribute names of conditions must be 1 to 128 characters")
            .accepts(under(&format!("{{{}: {{type: Equals, value: 1}}}}", "a".repeat(128))))
            .refuses(under(&format!("{{{}: {{type: Equals, value: 1}}}}", "a".repeat(129))))
            .refuses(under("{'': {type: Equals, value: 1}}")),
        kind.rule(format!("spec.{list}"), format!("{list} must have at most {most} conditions in total"))
            .accepts(in_total(most))
            .refuses(in_total(most + 1)),
        kind.rule(format!("{first}.conditions"), "must have at most 16 items")
            .accepts(attributes(16))
            .refuses(attributes(17)),
    ]
}

/// Every duration: kind, where it stands, its bounds, and what lies just outside of them.
#[rustfmt::skip]
const DURATIONS: [(&Kind, &str, [&str; 2], &[&str]); 9] = [
    (&ORGANIZATION, "grants.defaultDuration", ["PT1M", "P3D"], &["PT59S", "P3DT1S"]),
    (&ORGANIZATION, "grants.maxDuration", ["PT1M", "P3D"], &["PT59S", "P3DT1S"]),
    (&ORGANIZATION, "grants.revokeWithin", ["PT5M", "P3D"], &["PT4M59S", "P3DT1S"]),
    (&ORGANIZATION, "grants.activationDeadline", ["PT1M", "P3D"], &["PT59S", "P3DT1S"]),
    (&ORGANIZATION, "roles.resyncInterval", ["PT5S", "P1D"], &["PT4S", "P1DT1S"]),
    (&GRANT, "duration", ["PT1M", "P3D"], &["PT59S", "PT72H1S", "PT0S"]),
    (&GRANT, "revokeWithin", ["PT5M", "P3D"], &["PT299S", "P4D"]),
    (&GRANT, "activationDeadline", ["PT1M", "P3D"], &["PT59S", "P3DT1S"]),
    (&GRANT, "ttlAfterExpiry", ["PT0S", "P365D"], &["P365DT1S"]),
];

fn durations((kind, member, [least, most], outside): (&'static Kind, &str, [&str; 2], &[&str])) -> Vec<Case> {
    let field = format!("spec.{member}");
    let name = member.rsplit('.').next().unwrap_or(member);
    let lasting = |text: &str| match member.split_once('.') {
        Some((parent, name)) => format!("{{{parent}: {{{name}: '{text}'}}}}"),
        None => format!("{{{member}: '{text}'}}"),
    };
    let malformed = ["", "P", "PT", "P1DT", "2h", "pt2h", "PT1.5H", "-PT1H", "P1M", "P1W", "P0Y", "PT2H ", "7200"];
    let shaped = kind.rule(&field, format!("{name} must be an ISO 8601 duration of days, hours, minutes and seconds"));
    let bounded = kind.rule(&field, format!("{name} must be at least "));
    let within = ["PT5M", "PT1H30M", "PT3600S", "PT2H0M5S", least, most];
    vec![
        malformed.iter().fold(shaped.accepts(lasting("PT30M")), |case, text| case.refuses(lasting(text))),
        outside.iter().fold(within.iter().fold(bounded, |case, text| case.accepts(lasting(text))), |case, text| {
            case.refuses(lasting(text))
        }),
    ]
}

/// `VALUE` in `changes` stands for the role's name.
fn role_name(kind: &'static Kind, member: &str, changes: &str) -> Case {
    let named = |name: &str| changes.replace("VALUE", &format!("\"{name}\""));
    kind.rule(
        format!("spec.{member}"),
        "a role name must not contain a slash or an invisible character, or start or end with",
    )
    .accepts(named("x"))
    .accepts(named("Content moderator (EU)"))
    .refuses(named(" moderator"))
    .refuses(named("moderator\\n"))
    .refuses(named("content/moderator"))
    .refuses(named("mod\u{200b}erator"))
    .refuses(named("\u{202e}rotaredom"))
    .refuses(named("/"))
}

/// `VALUE` in `changes` stands for the choice.
fn chosen(kind: &'static Kind, member: &str, changes: &str, choices: &[&str]) -> Case {
    let with = |choice: &str| changes.replace("VALUE", choice);
    let case = kind.rule(format!("spec.{member}"), "Unsupported value").refuses(with("Other")).refuses(with("''"));
    choices.iter().fold(case, |case, choice| case.accepts(with(choice)))
}

fn too_long(kind: &'static Kind, member: &str, most: usize) -> Case {
    let of = |length: usize| format!("{{{member}: {}}}", "x".repeat(length));
    kind.rule(format!("spec.{member}"), format!("may not be more than {most}")).accepts(of(most)).refuses(of(most + 1))
}
