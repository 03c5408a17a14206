//! CEL rules that several kinds share. Rules rather than schema patterns, for their messages.

use kube::core::Rule;

/// A text matches a regular expression.
fn matches(expression: &str, message: &str) -> Rule {
    Rule::new(format!("self.matches(r'{expression}')")).message(message)
}

/// The name of an object of the cluster.
pub(super) fn object_name() -> Rule {
    matches(
        "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "name must be an object's name: lower-case letters, digits, - and ., with a letter or digit at both ends",
    )
}

/// `Category:Action`; the API lists no valid names, so only the shape is checked.
pub(super) fn permission_name() -> Rule {
    matches(
        "^[A-Za-z][A-Za-z0-9]*:[A-Za-z][A-Za-z0-9]*$",
        "permissionName must be Category:Action, such as Conversation:GetMessage",
    )
}

/// The name of a role at Amigo, which is a part of paths of its API.
pub(super) fn role_name() -> Rule {
    matches(r"^[^\s/]([^/]*[^\s/])?$", "a role's name has no slash and no blanks at its ends")
}

/// An id that Amigo gives, of no further shape.
pub(super) fn opaque_id(field: &str) -> Rule {
    matches(r"^\S+$", &format!("{field} has no blanks"))
}

/// An e-mail address, checked for its shape only.
pub(super) fn email() -> Rule {
    matches(r"^[^@\s]+@[^@\s]+$", "email must be one address, such as dana@example.com")
}

/// A scheme and a host. Which of them the operator calls is its own to decide.
pub(super) fn base_url(field: &str) -> Rule {
    matches(
        r"^https?://[A-Za-z0-9.\[\]:-]+/?$",
        &format!("{field} must be https and a host without a path, such as https://api.amigo.ai"),
    )
}

/// The organization's part of the paths of the API.
pub(super) fn organization() -> Rule {
    matches(
        "^[A-Za-z0-9][A-Za-z0-9_-]*$",
        "organization must be the id in the paths of the Amigo API: letters, digits, - and _",
    )
}

/// The id of a conversation.
pub(super) fn conversation_id() -> Rule {
    matches("^[0-9a-f]{24}$", "a conversation's id has 24 hexadecimal digits, in lower case")
}

/// The page of a conversation in the web console.
pub(super) fn conversation_url() -> Rule {
    matches(
        "^https?://[A-Za-z0-9.:-]+/admin/conversation/[0-9a-f]{24}/?([?#].*)?$",
        "url must look like https://ORGANIZATION.amigo.ai/admin/conversation/ID with an id of 24 hexadecimal digits",
    )
}

/// Every entry is the name of a namespace or `*`.
pub(super) fn namespaces() -> Rule {
    Rule::new(r"self.all(name, name.matches(r'^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$'))")
        .message("allowedNamespaces must be names of namespaces, or * for all")
}

/// `*` says it all.
pub(super) fn star_alone() -> Rule {
    Rule::new("!('*' in self) || self.size() == 1")
        .message("allowedNamespaces with * has no other entry: write either * or the names")
}

/// Rate limits name endpoints that the client knows.
pub(super) fn endpoints() -> Rule {
    let names = ENDPOINTS.map(|name| format!("'{name}'")).join(", ");
    let message = format!("limits must be for some of {}", ENDPOINTS.join(", "));
    Rule::new(format!("self.all(name, name in [{names}])")).message(message.as_str())
}

/// No limit stops an endpoint: that is what `suspend` is for. The most is far below what the type can hold.
pub(super) fn calls_a_minute() -> Rule {
    Rule::new("self.all(name, self[name] >= 1 && self[name] <= 100000)")
        .message("limits must be 1 to 100000 calls a minute")
}

/// The names of `amigo::Endpoint`, which this room cannot import; a test compares them.
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
