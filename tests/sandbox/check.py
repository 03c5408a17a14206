"""Judges a sandbox, seeded with examples/sandbox.yaml, by Amigo's official Python SDK.

Prints a line a check; the exit status is 1 if any failed. What the SDK has no method for is called through its
signed-in HTTP client, and the reply is held against the SDK's own models.
"""

import sys
import uuid

from amigo_sdk import AmigoClient
from amigo_sdk import errors
from amigo_sdk.generated import model

OPERATOR = {
    "api_key": "sandbox-api-key",
    "api_key_id": "5b1d7c1e-0c55-4c0f-9a57-7f2f0e3c9b11",
    "user_id": "user-operator-0001",
    "organization_id": "acme",
}
CONVERSATION = "abc123def456abc123def456"
INTERACTION = "66f1c0ab12de34f056789b01"
OWNER = "user-owner-7f3a"
ENGINEER = "user-eng-2c91"
CONDITIONS = {
    "org_id": {"type": "Equals", "value": "acme"},
    "conversation_user_id": {"type": "Equals", "value": OWNER},
}
RUN = uuid.uuid4().hex[:12]


class Checks:
    def __init__(self, base_url):
        self.base_url = base_url
        self.client = AmigoClient(**OPERATOR, base_url=base_url, retry_max_attempts=1)
        self.failed = 0

    def run(self):
        for name in [name for name in dir(type(self)) if name.startswith("check_")]:
            label = name.removeprefix("check_").replace("_", " ")
            try:
                getattr(self, name)()
                print(f"ok      {label}")
            except Exception as problem:  # one line a check, whatever went wrong
                self.failed += 1
                print(f"FAILED  {label}: {type(problem).__name__}: {problem}")
        return 1 if self.failed else 0

    def call(self, method, path, judge=None, status=200, **options):
        """Calls as the SDK would; its error classes come up by themselves."""
        reply = self.client._http.request(method, f"/v1/acme{path}", **options)
        assert reply.status_code == status, f"{reply.status_code} {reply.text}"
        return judge.model_validate_json(reply.text) if judge else reply

    def as_engineer(self):
        engineer = OPERATOR | {"user_id": ENGINEER}
        return AmigoClient(**engineer, base_url=self.base_url, retry_max_attempts=1)

    def check_organization(self):
        organization = self.client.organizations.get()
        assert organization.org_id == "acme"
        assert organization.default_user_preferences is not None

    def check_wrong_key_is_refused(self):
        stranger = AmigoClient(**(OPERATOR | {"api_key": "wrong"}), base_url=self.base_url)
        refused(errors.AuthenticationError, stranger.organizations.get)

    def check_users(self):
        reply = self.client.users.get_users(model.GetUsersParametersQuery(email=["eng@example.com"]))
        assert [user.user_id for user in reply.users] == [ENGINEER]
        assert not reply.has_more and reply.continuation_token is None

    def check_user_search(self):
        reply = self.call("GET", "/user/search/", model.UserSearchUsersResponse, params={"query": "eng@"})
        assert [user.user_id for user in reply.users] == [ENGINEER]

    def check_user_invite_and_update(self):
        email = f"new-{RUN}@example.com"
        body = {"first_name": "New", "last_name": "Comer", "email": email, "role_name": "Engineer"}
        invited = self.client.users.create_user(model.UserCreateInvitedUserRequest(**body))
        self.client.users.update_user(
            invited.user_id, model.UserUpdateUserInfoRequest(first_name="Newer", preferred_language="eng")
        )
        found = self.client.users.get_users(model.GetUsersParametersQuery(email=[email])).users[0]
        assert found.first_name == "Newer" and found.preferences.preferred_language == "eng"

    def check_conversations(self):
        query = model.GetConversationsParametersQuery(id=[CONVERSATION])
        reply = self.client.conversations.get_conversations(query)
        assert [conversation.user_id for conversation in reply.conversations] == [OWNER]
        assert reply.conversations[0].version_set_info.name == "release"
        assert reply.conversations[0].final_message

    def check_conversations_are_filtered(self):
        query = model.GetConversationsParametersQuery(id=["66f1c0ab12de34f056789a02"])
        with self.as_engineer() as engineer:
            assert engineer.conversations.get_conversations(query).conversations == []

    def check_messages_in_pages(self):
        query = model.GetConversationMessagesParametersQuery
        first = self.client.conversations.get_conversation_messages(
            CONVERSATION, query(limit=2, sort_by=["+created_at"])
        )
        assert len(first.messages) == 2 and first.has_more
        token = first.continuation_token
        rest = self.client.conversations.get_conversation_messages(
            CONVERSATION, query(limit=2, sort_by=["+created_at"], continuation_token=token)
        )
        assert len(rest.messages) == 1 and not rest.has_more

    def check_insights(self):
        insights = self.client.conversations.get_interaction_insights(CONVERSATION, INTERACTION)
        assert insights.current_state_name == "reschedule" and insights.reflections

    def check_conversation_tags(self):
        body = {"updates": {"review": "open", "priority": None}, "deletes": ["stale"]}
        self.call("POST", f"/conversation/{CONVERSATION}/tags/", status=204, json=body)
        params = {"tag": ["review:open", "priority:"]}
        reply = self.call("GET", "/conversation/", model.ConversationGetConversationsResponse, params=params)
        assert [conversation.id for conversation in reply.conversations] == [CONVERSATION]

    def check_roles(self):
        name = f"reviewer {RUN}"
        grant = {"permission_name": "Conversation:GetMessage", "conditions": CONDITIONS}
        body = {"role_name": name, "description": "Reads", "permission_grants": [grant], "frontend_view": "admin"}
        created = self.call("POST", "/role/", model.RoleCreateRoleResponse, status=201, json=body)
        params = {"name": [name], "return_permission_grants": "true"}
        listed = self.call("GET", "/role/", model.RoleGetRolesResponse, params=params).roles[0]
        assert listed.id == created.role_id and len(listed.permission_grants) == 1
        refused(errors.ConflictError, self.call, "POST", "/role/", json=body)
        described = self.call("POST", f"/role/{name}", model.RoleModifyRoleResponse, json={"description": "Reads on"})
        assert described.role_id == created.role_id
        change = {"permission_grants": []}
        emptied = self.call("POST", f"/role/{name}", model.RoleModifyRoleResponse, json=change)
        assert emptied.role_id != created.role_id
        body = {"user_id": "user-colleague-51d0"}
        assigned = self.call("POST", f"/role/{name}/assign", model.RoleAssignRoleResponse, json=body)
        assert assigned.role_id == emptied.role_id

    def check_temporary_grants(self):
        tag = {"run": RUN, "managed": None}
        body = {
            "user_id": ENGINEER,
            "duration": "PT2H",
            "permission_grant": {"permission_name": "Conversation:GetConversation", "conditions": CONDITIONS},
            "tags": tag,
            "justification": "Checking the sandbox",
        }
        path = "/role/temporary_permission_grant/"
        created = self.call("POST", path, model.RoleCreateTemporaryPermissionGrantResponse, status=201, json=body)
        params = {"user_id": [ENGINEER], "is_expired": "false", "tag": [f"run:{RUN}", "managed:"], "limit": 10}
        listed = self.call(
            "GET",
            "/role/temporary_permission_grants/",
            model.RoleGetTemporaryPermissionGrantsResponse,
            params=params,
        )
        found = listed.temporary_permission_grants[0]
        assert found.field_id == created.temporary_permission_grant_id
        assert found.expires_at == created.expires_at
        query = model.GetConversationsParametersQuery(id=[CONVERSATION])
        with self.as_engineer() as engineer:
            visible = engineer.conversations.get_conversations(query).conversations
        assert [conversation.final_message for conversation in visible] == [""]

    def check_bad_grant_is_refused(self):
        body = {
            "user_id": ENGINEER,
            "duration": "2h",
            "permission_grant": {"permission_name": "Conversation:GetMessage", "conditions": {}},
            "tags": {"request-id": "x"},
            "justification": "short",
        }
        refused(errors.ValidationError, self.call, "POST", "/role/temporary_permission_grant/", json=body)

    def check_api_keys(self):
        body = {"name": f"key {RUN}", "duration": "P30D", "role_name": "Engineer"}
        path = "/organization/api_key/"
        created = self.call("POST", path, model.OrganizationCreateApiKeyResponse, status=201, json=body)
        listed = self.call("GET", path, model.OrganizationGetApiKeysResponse)
        assert created.api_key_id in [key.key_id for key in listed.api_keys]
        deleted = self.call("DELETE", f"{path}{created.api_key_id}/", model.OrganizationDeleteApiKeyResponse)
        assert deleted.deleted_key_id == created.api_key_id

    def check_missing_permission_is_forbidden(self):
        with self.as_engineer() as engineer:
            body = {"role_name": "x", "description": "x", "permission_grants": [], "frontend_view": "admin"}
            refused(errors.ForbiddenError, engineer._http.request, "POST", "/v1/acme/role/", json=body)


def refused(kind, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check.py BASE_URL")
    sys.exit(Checks(sys.argv[1]).run())
