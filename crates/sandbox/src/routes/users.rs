//! Users: list, search, invite, update.

use std::{cmp::Ordering, collections::BTreeMap, sync::LazyLock};

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Value, json};

use crate::{
    access::{organization_attributes, user_attributes},
    context::RequestContext,
    errors::ApiError,
    formats::is_email,
    journal::Change,
    preferences,
    query::{self, matches_filter},
    reply::Reply,
    state::{Organization, Preferences, User},
    validation::{Object, Problems, TextRule, body_object, matches_pattern, object, parse_body, pattern, text},
};

const SEE: &str = "User:GetUserInfo";
/// The API sets this variable itself.
const RESERVED_VARIABLE: &str = "user_id";
const LOGIN_LINK: TextRule = TextRule { min: 1, max: 2083 };

struct Statistics {
    conversations: usize,
    messages: usize,
    last_message: Option<Timestamp>,
}

/// `GET /user/`: the visible users.
pub(super) fn list(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let parameters = &context.request.query;
    let mut problems = Problems::default();
    let (ids, emails) = (parameters.texts("user_id"), parameters.texts("email"));
    for (index, email) in emails.iter().enumerate().filter(|(_, email)| !is_email(email)) {
        let location = vec![json!("query"), json!("email"), json!(index)];
        problems.add(location, "value_error", format!("value is not a valid email address: {email}"));
    }
    let fields = [
        "first_name",
        "last_name",
        "email",
        "user_stats.num_conversations",
        "user_stats.num_messages",
        "user_stats.last_message_time",
    ];
    let sort_by = parameters.sort_by(&fields, &mut problems);
    let pagination = parameters.pagination(0, 100, &mut problems);
    problems.into_result()?;
    let organization = &*context.organization;
    let rights = context.rights(user)?;
    let found = organization.users.iter().filter(|user| {
        matches_filter(&ids, &user.user_id)
            && (emails.is_empty() || emails.iter().any(|email| email.eq_ignore_ascii_case(&user.email)))
            && rights.allow(SEE, &user_attributes(organization, user))
    });
    let mut found: Vec<_> = found.map(|user| (user, statistics(organization, user))).collect();
    query::sort(&mut found, &sort_by, compare);
    let (users, has_more, token) = pagination.apply(found);
    let users = users.into_iter().map(|(user, statistics)| {
        let mut rendered = render(context, user, &statistics);
        rendered["enable_actions_access"] = false.into();
        rendered
    });
    let users: Vec<_> = users.collect();
    Ok(Reply::ok(json!({ "users": users, "has_more": has_more, "continuation_token": token })))
}

/// `GET /user/search/`: the visible users whose name or email contains the query.
pub(super) fn search(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let parameters = &context.request.query;
    let Some(wanted) = parameters.one("query") else {
        let mut problems = Problems::default();
        problems.add(vec![json!("query"), json!("query")], "missing", "Field required");
        return Err(problems.into_error());
    };
    let (wanted, ids) = (wanted.to_lowercase(), parameters.texts("user_id"));
    let organization = &*context.organization;
    let rights = context.rights(user)?;
    let users = organization.users.iter().filter(|user| {
        let searched = format!("{} {}\n{}", user.first_name, user.last_name, user.email).to_lowercase();
        searched.contains(&wanted)
            && matches_filter(&ids, &user.user_id)
            && rights.allow(SEE, &user_attributes(organization, user))
    });
    let users = users.map(|user| render(context, user, &statistics(organization, user)));
    Ok(Reply::ok(json!({ "users": users.collect::<Vec<_>>() })))
}

fn statistics(organization: &Organization, user: &User) -> Statistics {
    let own = || organization.conversations.iter().filter(|conversation| conversation.user_id == user.user_id);
    let messages = || own().flat_map(|conversation| &conversation.messages);
    Statistics {
        conversations: own().count(),
        messages: messages().count(),
        last_message: messages().map(|message| message.created_at).max(),
    }
}

fn compare(left: &(&User, Statistics), right: &(&User, Statistics), field: &str) -> Ordering {
    match field {
        "first_name" => left.0.first_name.cmp(&right.0.first_name),
        "last_name" => left.0.last_name.cmp(&right.0.last_name),
        "email" => left.0.email.cmp(&right.0.email),
        "user_stats.num_conversations" => left.1.conversations.cmp(&right.1.conversations),
        "user_stats.num_messages" => left.1.messages.cmp(&right.1.messages),
        _ => left.1.last_message.cmp(&right.1.last_message),
    }
}

fn render(context: &RequestContext<'_>, user: &User, statistics: &Statistics) -> Value {
    json!({
        "org_id": context.organization.id,
        "user_id": user.user_id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "user_stats": {
            "num_conversations": statistics.conversations,
            "num_messages": statistics.messages,
            "last_message_time": statistics.last_message.map(|time| context.timestamp(time)),
        },
        "role": user.role_id,
        "preferences": user.preferences,
        "nonsensitive_variables": user.nonsensitive_variables,
        "sensitive_variables": user.sensitive_variables,
    })
}

struct Invitation {
    first_name: String,
    last_name: String,
    email: String,
    role_name: String,
    login_link: Option<String>,
    preferences: Option<Preferences>,
    nonsensitive_variables: BTreeMap<String, String>,
    sensitive_variables: BTreeMap<String, String>,
}

/// `POST /user/`.
pub(super) fn invite(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let invitation = read_invitation(context)?;
    let organization = &*context.organization;
    let role = organization.role(&invitation.role_name).ok_or(ApiError::NotFound("The role is not found."))?;
    let rights = context.rights(user)?;
    rights.require("User:InviteUser", &organization_attributes(organization))?;
    rights.require_rank(organization.behavior.role_hierarchy, &role.permission_grants, &role.name)?;
    if organization.users.iter().any(|user| user.email.eq_ignore_ascii_case(&invitation.email)) {
        return Err(ApiError::Conflict("A user with this email exists already."));
    }
    let invited = User {
        user_id: context.ids.user(),
        first_name: invitation.first_name,
        last_name: invitation.last_name,
        email: invitation.email,
        role_id: role.id.clone(),
        preferences: invitation.preferences.unwrap_or_else(|| organization.default_preferences.clone()),
        nonsensitive_variables: invitation.nonsensitive_variables,
        sensitive_variables: invitation.sensitive_variables.into_keys().collect(),
    };
    let (user_id, email) = (invited.user_id.clone(), invited.email.clone());
    context.organization.users.push(invited);
    let reply = Reply::created(json!({ "user_id": user_id, "verify_link": invitation.login_link }));
    context.commit(user, Change::UserInvited { user_id, email, role_name: invitation.role_name });
    Ok(reply)
}

fn read_invitation(context: &RequestContext<'_>) -> Result<Invitation, ApiError> {
    let body = parse_body(context.request)?;
    let body = body_object(&body)?;
    let mut problems = Problems::default();
    let first_name = body.required_text("first_name", TextRule::NOT_BLANK, &mut problems);
    let last_name = body.required_text("last_name", TextRule::NOT_BLANK, &mut problems);
    let email = body.required_text("email", TextRule::ANY, &mut problems);
    let role_name = body.required_text("role_name", TextRule::ANY, &mut problems);
    let login_link = body.optional_text("login_link", LOGIN_LINK, &mut problems);
    if login_link.as_ref().is_some_and(|link| !is_url(link)) {
        problems.add(body.at("login_link"), "url_parsing", "Input should be a valid URL");
    }
    if email.as_ref().is_some_and(|email| !is_email(email)) {
        problems.add(body.at("email"), "value_error", "value is not a valid email address");
    }
    let nonsensitive_variables = variables(&body, "nonsensitive_user_variables", 19, &mut problems);
    if nonsensitive_variables.contains_key(RESERVED_VARIABLE) {
        let location =
            [body.at("nonsensitive_user_variables"), vec![json!(RESERVED_VARIABLE), json!("[key]")]].concat();
        problems.add(location, "value_error", format!("Value error, {RESERVED_VARIABLE} is set by the API"));
    }
    let sensitive_variables = variables(&body, "sensitive_user_variables", 20, &mut problems);
    let preferences = body
        .optional("user_preferences")
        .and_then(|value| object(value, body.at("user_preferences"), &mut problems))
        .map(|sent| preferences::read_new(&sent, &mut problems));
    let (Some(first_name), Some(last_name), Some(email), Some(role_name)) = (first_name, last_name, email, role_name)
    else {
        return Err(problems.into_error());
    };
    problems.into_result()?;
    Ok(Invitation {
        first_name,
        last_name,
        email,
        role_name,
        login_link,
        preferences,
        nonsensitive_variables,
        sensitive_variables,
    })
}

fn is_url(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some())
}

fn variables(body: &Object<'_>, name: &str, max: usize, problems: &mut Problems) -> BTreeMap<String, String> {
    static VARIABLE: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z_][a-z0-9_]+$"));
    let Some(sent) = body.members.get(name).and_then(|value| object(value, body.at(name), problems)) else {
        return BTreeMap::new();
    };
    if sent.members.len() > max {
        problems.add(body.at(name), "too_long", format!("Dictionary should have at most {max} items"));
    }
    let mut read = BTreeMap::new();
    for (key, value) in sent.members {
        let name = text(&json!(key), TextRule::NOT_BLANK, sent.at_key(key), problems)
            .filter(|name| matches_pattern(name, &VARIABLE, sent.at_key(key), problems));
        read.extend(name.zip(text(value, TextRule::ANY, sent.at(key), problems)));
    }
    read
}

/// `POST /user/{requested_user_id}`.
pub(super) fn update(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let body = parse_body(context.request)?;
    let body = body_object(&body)?;
    let mut problems = Problems::default();
    let user_id = context.request.path_parameter("requested_user_id");
    let organization = &*context.organization;
    let mut target = organization.user(user_id).cloned();
    let mut preferences = target.as_ref().map(|target| target.preferences.clone()).unwrap_or_default();
    let first_name = body.optional_text("first_name", TextRule::NOT_BLANK, &mut problems);
    let last_name = body.optional_text("last_name", TextRule::NOT_BLANK, &mut problems);
    body.optional_texts("additional_context", TextRule::NOT_BLANK, &mut problems);
    preferences::update(&mut preferences, &body, &mut problems);
    problems.into_result()?;
    let target = target.as_mut().ok_or(ApiError::NotFound("The user is not found."))?;
    context.rights(user)?.require("User:UpdateUserInfo", &user_attributes(organization, target))?;
    if let Some(present) = context.organization.user_mut(user_id) {
        present.preferences = preferences;
        present.first_name = first_name.unwrap_or_else(|| target.first_name.clone());
        present.last_name = last_name.unwrap_or_else(|| target.last_name.clone());
    }
    context.commit(user, Change::UserUpdated { user_id: user_id.to_owned() });
    Ok(Reply::no_content())
}
