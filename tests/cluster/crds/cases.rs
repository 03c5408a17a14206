//! The table: every rule of the schemas, with objects that keep it and objects that break it.

use amigo_client::Endpoint;

use super::{
    shared_cases::{chosen, durations, names, permissions, required, role_name, too_long, user, values},
    table::{Case, Kind},
};

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
