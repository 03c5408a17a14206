//! CEL rules that several kinds share. They are rules instead of schema patterns because a rule has a message.

use kube::core::Rule;

use super::text;

/// A text matches a regular expression.
fn matches(expression: &str, message: &str) -> Rule {
    Rule::new(format!("self.matches(r'{expression}')")).message(message)
}

/// The name of an object of the cluster.
pub(super) fn object_name() -> Rule {
    matches(
        "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "name must consist of lowercase letters, digits, - and ., and must start and end with a letter or digit",
    )
}

/// `Category:Action`. The API does not list valid names, so the rule checks only the format.
pub(super) fn permission_name() -> Rule {
    matches(
        "^[A-Za-z][A-Za-z0-9]*:[A-Za-z][A-Za-z0-9]*$",
        "permissionName must be Category:Action, such as Conversation:GetMessage",
    )
}

/// The attributes of conditions. Schemas have no limit for the names in a map.
pub(super) fn attribute_names() -> Rule {
    Rule::new("self.all(name, name.size() >= 1 && name.size() <= 128)")
        .message("the attribute names of conditions must be 1 to 128 characters")
}

/// All conditions of a list of permissions together, so that an object stays small.
pub(super) fn conditions_in_total(field: &str, most: usize) -> Rule {
    let message = format!("{field} must have at most {most} conditions in total");
    let sizes = "self.map(permission, has(permission.conditions) ? permission.conditions.size() : 0)";
    Rule::new(format!("{sizes}.sum() <= {most}")).message(message.as_str())
}

/// The name of a role at Amigo. It is a segment of API paths.
pub(super) fn role_name() -> Rule {
    let invisible = text::invisible_class();
    matches(
        &format!(r"^[^\s/{invisible}]([^/{invisible}]*[^\s/{invisible}])?$"),
        "a role name must not contain a slash or an invisible character, or start or end with whitespace",
    )
}

/// At least so many visible characters, blanks between them included.
pub(super) fn visible(least: u32, message: &str) -> Rule {
    let invisible = text::invisible_class();
    let shown = format!(r"[^\s\p{{Z}}{invisible}]");
    let more = match least {
        0 | 1 => String::new(),
        least => format!("([{invisible}]*[^{invisible}]){{{},}}[{invisible}]*{shown}", least - 2),
    };
    matches(&format!("(?s){shown}{more}"), message)
}

/// No character that turns the text around it to another direction.
pub(super) fn no_turning(field: &str) -> Rule {
    Rule::new(r"!self.matches(r'[\x{202a}-\x{202e}\x{2066}-\x{2069}]')")
        .message(&*format!("{field} must not contain characters that change the direction of text"))
}

/// An ID from Amigo, without a documented format.
pub(super) fn opaque_id(field: &str) -> Rule {
    let invisible = text::invisible_class();
    matches(&format!(r"^[^\s{invisible}]+$"), &format!("{field} must not contain whitespace or invisible characters"))
}

/// An email address, checked for its format only.
pub(super) fn email() -> Rule {
    let letter = format!(r"[^@\s{}]", text::invisible_class());
    matches(&format!("^{letter}+@{letter}+$"), "email must be one email address, such as dana@example.com")
}

/// A scheme and a host. The operator has its own allow-list of hosts and schemes.
pub(super) fn base_url(field: &str) -> Rule {
    matches(
        r"^https?://[A-Za-z0-9.\[\]:-]+/?$",
        &format!("{field} must be an https URL without a path, such as https://api.amigo.ai"),
    )
}

/// The segment of API paths that names the organization.
pub(super) fn organization() -> Rule {
    matches("^[A-Za-z0-9][A-Za-z0-9_-]*$", "organization must be the ID in Amigo API paths: letters, digits, - and _")
}

/// The id of a conversation.
pub(super) fn conversation_id() -> Rule {
    matches("^[0-9a-f]{24}$", "id must be 24 lowercase hexadecimal digits")
}

/// The page of a conversation in the web console.
pub(super) fn conversation_url() -> Rule {
    matches(
        "^https?://[A-Za-z0-9.:-]+/admin/conversation/[0-9a-f]{24}/?([?#].*)?$",
        "url must look like https://ORGANIZATION.amigo.ai/admin/conversation/ID with 24 lowercase hexadecimal digits",
    )
}

/// A time that every program can represent. It is a text with a rule, because a value of the format `date-time` that CEL
/// cannot read has no message, and the format accepts times that the programs cannot read.
pub(super) fn time(field: &str) -> Rule {
    let message = format!(
        "{field} must be an RFC 3339 time with uppercase T and Z, from 2000 to 2999, such as 2027-01-31T18:00:00Z"
    );
    let leap_day = "!self.matches('-02-29T') || [int(self.substring(0, 4))].all(year, \
                    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))";
    Rule::new(format!("self.matches('{TIME}') && ({leap_day})")).message(message.as_str())
}

/// The shape of a time, with the days of each month.
const TIME: &str = concat!(
    "^2[0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))",
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
);

/// The shape of a time in a status. The format `date-time` beside it checks the days of a month.
pub(super) const STATUS_TIME: &str = concat!(
    "^2[0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?",
    "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
);

/// Every entry is a namespace name or `*`.
pub(super) fn namespaces() -> Rule {
    Rule::new(r"self.all(name, name.matches(r'^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$'))")
        .message("allowedNamespaces must contain namespace names, or * for all namespaces")
}

/// `*` makes other entries redundant.
pub(super) fn star_alone() -> Rule {
    Rule::new("!('*' in self) || self.size() == 1")
        .message("allowedNamespaces must be either * alone or a list of names")
}

/// Rate limits exist only for endpoints of the client.
pub(super) fn endpoints() -> Rule {
    let names = ENDPOINTS.map(|name| format!("'{name}'")).join(", ");
    let message = format!("limits may contain only the endpoints {}", ENDPOINTS.join(", "));
    Rule::new(format!("self.all(name, name in [{names}])")).message(message.as_str())
}

/// At least 1: to stop requests, users set `suspend`. The maximum is far below the range of the type.
pub(super) fn requests_per_minute() -> Rule {
    Rule::new("self.all(name, self[name] >= 1 && self[name] <= 100000)")
        .message("limits must be 1 to 100000 requests per minute")
}

/// The names of `amigo_client::Endpoint`, which this crate does not depend on. A test compares the two lists.
pub const ENDPOINTS: [&str; 11] = [
    "sign_in",
    "organization",
    "api_keys",
    "list_roles",
    "create_role",
    "modify_role",
    "assign_role",
    "create_grant",
    "list_grants",
    "conversations",
    "users",
];
