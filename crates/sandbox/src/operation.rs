//! The nineteen operations of the Classic API that the sandbox implements.

use http::Method;
use serde::{Deserialize, Serialize};

/// An operation, named as in the API document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    SignInWithApiKey,
    GetOrganization,
    CreateApiKey,
    GetApiKeys,
    DeleteApiKey,
    #[serde(alias = "get_roles_v1__organization__role__get")]
    GetRoles,
    CreateRole,
    ModifyRole,
    AssignRole,
    CreateTemporaryPermissionGrant,
    GetTemporaryPermissionGrants,
    GetConversations,
    GetConversationMessages,
    GetInteractionInsights,
    ModifyTagsOfConversation,
    GetUsers,
    SearchUsers,
    CreateInvitedUser,
    UpdateUserInfo,
}

impl Operation {
    pub const ALL: [Self; 19] = [
        Self::SignInWithApiKey,
        Self::GetOrganization,
        Self::CreateApiKey,
        Self::GetApiKeys,
        Self::DeleteApiKey,
        Self::GetRoles,
        Self::CreateRole,
        Self::ModifyRole,
        Self::AssignRole,
        Self::CreateTemporaryPermissionGrant,
        Self::GetTemporaryPermissionGrants,
        Self::GetConversations,
        Self::GetConversationMessages,
        Self::GetInteractionInsights,
        Self::ModifyTagsOfConversation,
        Self::GetUsers,
        Self::SearchUsers,
        Self::CreateInvitedUser,
        Self::UpdateUserInfo,
    ];

    #[must_use]
    pub fn method(self) -> Method {
        match self {
            Self::GetOrganization
            | Self::GetApiKeys
            | Self::GetRoles
            | Self::GetTemporaryPermissionGrants
            | Self::GetConversations
            | Self::GetConversationMessages
            | Self::GetInteractionInsights
            | Self::GetUsers
            | Self::SearchUsers => Method::GET,
            Self::DeleteApiKey => Method::DELETE,
            Self::SignInWithApiKey
            | Self::CreateApiKey
            | Self::CreateRole
            | Self::ModifyRole
            | Self::AssignRole
            | Self::CreateTemporaryPermissionGrant
            | Self::ModifyTagsOfConversation
            | Self::CreateInvitedUser
            | Self::UpdateUserInfo => Method::POST,
        }
    }

    /// The path template, with the documented trailing slash or without.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::SignInWithApiKey => "/v1/{organization}/user/signin_with_api_key",
            Self::GetOrganization => "/v1/{organization}/organization/",
            Self::CreateApiKey | Self::GetApiKeys => "/v1/{organization}/organization/api_key/",
            Self::DeleteApiKey => "/v1/{organization}/organization/api_key/{api_key_id}/",
            Self::GetRoles | Self::CreateRole => "/v1/{organization}/role/",
            Self::ModifyRole => "/v1/{organization}/role/{role_name}",
            Self::AssignRole => "/v1/{organization}/role/{role_name}/assign",
            Self::CreateTemporaryPermissionGrant => "/v1/{organization}/role/temporary_permission_grant/",
            Self::GetTemporaryPermissionGrants => "/v1/{organization}/role/temporary_permission_grants/",
            Self::GetConversations => "/v1/{organization}/conversation/",
            Self::GetConversationMessages => "/v1/{organization}/conversation/{conversation_id}/messages/",
            Self::GetInteractionInsights => {
                "/v1/{organization}/conversation/{conversation_id}/interaction/{interaction_id}/insights"
            }
            Self::ModifyTagsOfConversation => "/v1/{organization}/conversation/{conversation_id}/tags/",
            Self::GetUsers | Self::CreateInvitedUser => "/v1/{organization}/user/",
            Self::SearchUsers => "/v1/{organization}/user/search/",
            Self::UpdateUserInfo => "/v1/{organization}/user/{requested_user_id}",
        }
    }

    /// The documented requests per minute; `None` for no limit.
    #[must_use]
    pub fn limit(self) -> Option<u32> {
        match self {
            Self::GetOrganization => None,
            Self::SignInWithApiKey | Self::CreateApiKey => Some(5),
            Self::GetApiKeys | Self::DeleteApiKey | Self::ModifyRole => Some(10),
            Self::GetConversations => Some(15),
            Self::GetRoles | Self::CreateRole | Self::GetConversationMessages | Self::GetInteractionInsights => {
                Some(20)
            }
            Self::ModifyTagsOfConversation | Self::SearchUsers | Self::CreateInvitedUser | Self::UpdateUserInfo => {
                Some(50)
            }
            Self::GetUsers => Some(60),
            Self::CreateTemporaryPermissionGrant | Self::GetTemporaryPermissionGrants => Some(100),
            Self::AssignRole => Some(1_000),
        }
    }
}
