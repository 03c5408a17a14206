//! The operations, a file a resource.

mod api_keys;
mod conversations;
mod grants;
mod organization;
mod roles;
mod sign_in;
mod users;

use super::{call::Call, errors::Refusal, operation::Operation, reply::Reply};

/// Carries out a call that needs no token.
pub(super) fn anonymous(call: &mut Call<'_>) -> Option<Result<Reply, Refusal>> {
    match call.operation {
        Operation::SignInWithApiKey => Some(sign_in::sign_in(call)),
        Operation::GetOrganization => Some(organization::get(call)),
        _ => None,
    }
}

/// Carries out a call as `user`.
pub(super) fn authenticated(call: &mut Call<'_>, user: &str) -> Result<Reply, Refusal> {
    match call.operation {
        Operation::SignInWithApiKey => sign_in::sign_in(call),
        Operation::GetOrganization => organization::get(call),
        Operation::CreateApiKey => api_keys::create(call, user),
        Operation::GetApiKeys => api_keys::list(call, user),
        Operation::DeleteApiKey => api_keys::delete(call, user),
        Operation::GetRoles => roles::list(call, user),
        Operation::CreateRole => roles::create(call, user),
        Operation::ModifyRole => roles::modify(call, user),
        Operation::AssignRole => roles::assign(call, user),
        Operation::CreateTemporaryPermissionGrant => grants::create(call, user),
        Operation::GetTemporaryPermissionGrants => grants::list(call, user),
        Operation::GetConversations => conversations::list(call, user),
        Operation::GetConversationMessages => conversations::messages(call, user),
        Operation::GetInteractionInsights => conversations::insights(call, user),
        Operation::ModifyTagsOfConversation => conversations::modify_tags(call, user),
        Operation::GetUsers => users::list(call, user),
        Operation::SearchUsers => users::search(call, user),
        Operation::CreateInvitedUser => users::invite(call, user),
        Operation::UpdateUserInfo => users::update(call, user),
    }
}
