//! Conversations, their messages, insights and tags.

use std::cmp::Ordering;

use amigo_permissions::Attributes;
use serde_json::{Value, json};

use crate::{
    access::{Rights, conversation_attributes, organization_attributes},
    context::RequestContext,
    errors::ApiError,
    journal::Change,
    query::{self, Query, matches_filter},
    reply::Reply,
    state::{Conversation, Message, MessageType},
    validation::{Problems, TextRule, body_object, parse_body},
};

const NOT_FOUND: ApiError = ApiError::NotFound("The conversation is not found.");
const MAX_TAGS: usize = 20;
const READ: &str = "Conversation:GetMessage";

/// `GET /conversation/`: the visible conversations. The last message and the version set need further permissions.
pub(super) fn list(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let parameters = &context.request.query;
    let mut problems = Problems::default();
    let ids = parameters.document_ids("id", &mut problems);
    let services = parameters.document_ids("service_id", &mut problems);
    let owners = parameters.texts("user_id");
    let is_finished = parameters.boolean("is_finished", &mut problems);
    let tags = parameters.tags(&mut problems);
    let sort_by = parameters.sort_by(&["created_at"], &mut problems);
    let pagination = parameters.pagination(1, 150, &mut problems);
    problems.into_result()?;
    let organization = &*context.organization;
    let rights = context.rights(user)?;
    let found = organization.conversations.iter().filter(|conversation| {
        matches_filter(&ids, &conversation.id)
            && matches_filter(&services, &conversation.service_id)
            && matches_filter(&owners, &conversation.user_id)
            && is_finished.is_none_or(|wanted| wanted == conversation.is_finished)
            && tags.matches(&conversation.tags, organization.behavior.repeated_tags)
    });
    let visible = found
        .map(|conversation| (conversation, conversation_attributes(organization, conversation)))
        .filter(|(_, attributes)| rights.allow("Conversation:GetConversation", attributes));
    let mut visible: Vec<_> = visible.collect();
    query::sort(&mut visible, &sort_by, |left, right, _| left.0.created_at.cmp(&right.0.created_at));
    let (conversations, has_more, token) = pagination.apply(visible);
    let rendered = conversations.iter().map(|(conversation, about)| render(context, &rights, conversation, about));
    Ok(Reply::ok(json!({
        "conversations": rendered.collect::<Vec<_>>(),
        "has_more": has_more,
        "continuation_token": token,
    })))
}

fn render(
    context: &RequestContext<'_>,
    rights: &Rights<'_>,
    conversation: &Conversation,
    attributes: &Attributes,
) -> Value {
    let last = conversation.messages.last().filter(|_| rights.allow(READ, attributes));
    let versions_visible = rights.allow("Service:GetVersionSet", &organization_attributes(context.organization));
    json!({
        "id": conversation.id,
        "user_id": conversation.user_id,
        "created_at": context.timestamp(conversation.created_at),
        "is_finished": conversation.is_finished,
        "is_analyzed": conversation.is_analyzed,
        "completed_post_processings": conversation.completed_post_processings,
        "final_message": last.map_or("", |message| &message.message),
        "service_id": conversation.service_id,
        "version_set_info": conversation.version_set_info.as_ref().filter(|_| versions_visible),
        "num_messages": conversation.messages.len(),
        "tags": conversation.tags,
    })
}

/// `GET /conversation/{conversation_id}/messages/`: the visible messages.
pub(super) fn messages(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let parameters = &context.request.query;
    let mut problems = Problems::default();
    let id = context.request.document_id("conversation_id", &mut problems);
    let ids = parameters.document_ids("id", &mut problems);
    let interactions = parameters.document_ids("interaction_id", &mut problems);
    let kinds = read_kinds(parameters, &mut problems);
    let sort_by = parameters.sort_by(&["interaction_id", "created_at"], &mut problems);
    let pagination = parameters.pagination(1, 500, &mut problems);
    problems.into_result()?;
    let organization = &*context.organization;
    let conversation = organization.conversation(id).ok_or(NOT_FOUND)?;
    let readable = context.rights(user)?.allow(READ, &conversation_attributes(organization, conversation));
    let found = conversation.messages.iter().filter(|message| {
        readable
            && matches_filter(&ids, &message.id)
            && matches_filter(&interactions, &message.interaction_id)
            && kinds.contains(&message.message_type)
    });
    let mut found: Vec<_> = found.collect();
    query::sort(&mut found, &sort_by, |left, right, field| compare(left, right, field));
    let (messages, has_more, token) = pagination.apply(found);
    Ok(Reply::ok(json!({
        "messages": messages.into_iter().map(|message| render_message(context, message)).collect::<Vec<_>>(),
        "has_more": has_more,
        "continuation_token": token,
    })))
}

fn read_kinds(parameters: &Query, problems: &mut Problems) -> Vec<MessageType> {
    let mut kinds = Vec::new();
    for (index, text) in parameters.all("message_type").enumerate() {
        match serde_json::from_value(json!(text)) {
            Ok(kind) => kinds.push(kind),
            Err(_) => problems.add(
                vec![json!("query"), json!("message_type"), json!(index)],
                "enum",
                "Input should be one of the permitted values",
            ),
        }
    }
    if kinds.is_empty() {
        kinds.extend([MessageType::ExternalEvent, MessageType::AgentMessage, MessageType::UserMessage]);
    }
    kinds
}

fn compare(left: &Message, right: &Message, field: &str) -> Ordering {
    match field {
        "interaction_id" => left.interaction_id.cmp(&right.interaction_id),
        _ => left.created_at.cmp(&right.created_at),
    }
}

fn render_message(context: &RequestContext<'_>, message: &Message) -> Value {
    json!({
        "id": message.id,
        "interaction_id": message.interaction_id,
        "created_at": context.timestamp(message.created_at),
        "sender": message.sender,
        "message": message.message,
        "format": message.format,
        "message_type": message.message_type,
    })
}

/// `GET /conversation/{conversation_id}/interaction/{interaction_id}/insights`.
pub(super) fn insights(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let mut problems = Problems::default();
    let id = context.request.document_id("conversation_id", &mut problems);
    let interaction = context.request.document_id("interaction_id", &mut problems);
    problems.into_result()?;
    let organization = &*context.organization;
    let conversation = organization.conversation(id).ok_or(NOT_FOUND)?;
    let insights = conversation.insights.get(interaction).ok_or(ApiError::NotFound("The interaction is not found."))?;
    let rights = context.rights(user)?;
    let attributes = conversation_attributes(organization, conversation);
    rights.require("Conversation:GetInteractionInsights", &attributes)?;
    let machine = organization_attributes(organization);
    rights.require("Organization:GetServiceHierarchicalStateMachine", &machine)?;
    let mut rendered = json!(insights);
    if !rights.allow(READ, &attributes) {
        rendered["reflections"] = json!([]);
    }
    Ok(Reply::ok(rendered))
}

/// `POST /conversation/{conversation_id}/tags/`.
pub(super) fn modify_tags(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let mut problems = Problems::default();
    let id = context.request.document_id("conversation_id", &mut problems);
    let body = parse_body(context.request)?;
    let body = body_object(&body)?;
    let updates = body.members.get("updates");
    let updates = updates.and_then(|updates| body.tags("updates", updates, &mut problems)).unwrap_or_default();
    body.reject_null("deletes", "set_type", "set", &mut problems);
    let deletes = body.optional_texts("deletes", TextRule::NOT_BLANK, &mut problems).unwrap_or_default();
    problems.into_result()?;
    let organization = &*context.organization;
    let conversation = organization.conversation(id).ok_or(NOT_FOUND)?;
    let attributes = conversation_attributes(organization, conversation);
    context.rights(user)?.require("Conversation:ModifyConversation", &attributes)?;
    let mut tags = conversation.tags.clone();
    tags.retain(|key, _| !deletes.contains(key));
    tags.extend(updates);
    if tags.len() > MAX_TAGS {
        return Err(ApiError::BadRequest("A conversation cannot have so many tags."));
    }
    let found = context.organization.conversations.iter_mut().find(|conversation| conversation.id == id);
    found.ok_or(NOT_FOUND)?.tags = tags;
    context.commit(user, Change::ConversationTagged { conversation_id: id.to_owned() });
    Ok(Reply::no_content())
}
