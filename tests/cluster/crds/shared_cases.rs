//! Cases of rules that several kinds share.

use super::table::{Case, Kind};

/// Members that must be there.
pub fn required(kind: &'static Kind) -> Vec<Case> {
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
pub fn names(kind: &'static Kind, reference: &str) -> Vec<Case> {
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
pub fn user(kind: &'static Kind) -> Vec<Case> {
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
pub fn values(kind: &'static Kind, list: &str) -> Vec<Case> {
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
pub fn permissions(kind: &'static Kind, list: &str) -> Vec<Case> {
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

pub fn durations((kind, member, [least, most], outside): (&'static Kind, &str, [&str; 2], &[&str])) -> Vec<Case> {
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
pub fn role_name(kind: &'static Kind, member: &str, changes: &str) -> Case {
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
pub fn chosen(kind: &'static Kind, member: &str, changes: &str, choices: &[&str]) -> Case {
    let with = |choice: &str| changes.replace("VALUE", choice);
    let case = kind.rule(format!("spec.{member}"), "Unsupported value").refuses(with("Other")).refuses(with("''"));
    choices.iter().fold(case, |case, choice| case.accepts(with(choice)))
}

pub fn too_long(kind: &'static Kind, member: &str, most: usize) -> Case {
    let of = |length: usize| format!("{{{member}: {}}}", "x".repeat(length));
    kind.rule(format!("spec.{member}"), format!("may not be more than {most}")).accepts(of(most)).refuses(of(most + 1))
}
