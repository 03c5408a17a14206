//! CEL rules that several kinds share. They are rules instead of schema patterns because a rule has a message.

use kube::core::Rule;

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

/// The name of a role at Amigo. It is a segment of API paths.
pub(super) fn role_name() -> Rule {
    matches(r"^[^\s/]([^/]*[^\s/])?$", "a role name must not contain a slash or start or end with whitespace")
}

/// An ID from Amigo, without a documented format.
pub(super) fn opaque_id(field: &str) -> Rule {
    matches(r"^\S+$", &format!("{field} must not contain whitespace"))
}

/// An email address, checked for its format only.
pub(super) fn email() -> Rule {
    matches(r"^[^@\s]+@[^@\s]+$", "email must be one email address, such as dana@example.com")
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
