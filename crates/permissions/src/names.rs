//! The known permission names. No endpoint lists them, so an unknown name is a warning and not an error.

/// Every permission name that appeared in a published API document, sorted.
pub const KNOWN: [&str; 80] = [
    "Admin:GetModels",
    "Conversation:CreateConversation",
    "Conversation:FinishConversation",
    "Conversation:GetConversation",
    "Conversation:GetInteractionInsights",
    "Conversation:GetMessage",
    "Conversation:GetRecommendedResponses",
    "Conversation:InteractWithConversation",
    "Conversation:ModifyConversation",
    "DynamicBehaviorInstruction:CreateDynamicBehaviorInstruction",
    "DynamicBehaviorInstruction:DeleteDynamicBehaviorInstruction",
    "DynamicBehaviorInstruction:GetDynamicBehaviorInstruction",
    "DynamicBehaviorInstruction:UpdateDynamicBehaviorInstruction",
    "Metric:CreateMetric",
    "Metric:DeleteMetric",
    "Metric:EvaluateMetric",
    "Metric:GetMetric",
    "Metric:GetMetricEvaluationResult",
    "Metric:ModifyMetric",
    "Organization:CreateAPIKey",
    "Organization:CreateAgent",
    "Organization:CreateAgentVersion",
    "Organization:CreateOrganization",
    "Organization:CreateServiceHierarchicalStateMachine",
    "Organization:CreateServiceHierarchicalStateMachineVersion",
    "Organization:DeleteAPIKey",
    "Organization:DeleteAgent",
    "Organization:DeleteOrganization",
    "Organization:DeleteServiceHierarchicalStateMachine",
    "Organization:GetAPIKey",
    "Organization:GetAgent",
    "Organization:GetOrganizationDetails",
    "Organization:GetServiceHierarchicalStateMachine",
    "Organization:ModifyOrganization",
    "Role:CreateRole",
    "Role:CreateTemporaryPermissionGrant",
    "Role:GetRole",
    "Role:GetTemporaryPermissionGrant",
    "Role:ModifyRole",
    "Service:CreateService",
    "Service:CreateVersionSet",
    "Service:DeleteVersionSet",
    "Service:GetService",
    "Service:GetVersionSet",
    "Service:UpdateService",
    "Service:UpdateVersionSet",
    "Simulation:CancelSimulationUnitTestSetRun",
    "Simulation:CreateSimulationPersona",
    "Simulation:CreateSimulationScenario",
    "Simulation:CreateSimulationUnitTest",
    "Simulation:CreateSimulationUnitTestSet",
    "Simulation:CreateSimulationUnitTestSetRun",
    "Simulation:DeleteSimulationPersona",
    "Simulation:DeleteSimulationScenario",
    "Simulation:DeleteSimulationUnitTest",
    "Simulation:DeleteSimulationUnitTestSet",
    "Simulation:GetSimulationPersona",
    "Simulation:GetSimulationScenario",
    "Simulation:GetSimulationUnitTest",
    "Simulation:GetSimulationUnitTestSet",
    "Simulation:GetSimulationUnitTestSetRun",
    "Simulation:ModifySimulationPersona",
    "Simulation:ModifySimulationScenario",
    "Simulation:ModifySimulationUnitTest",
    "Simulation:ModifySimulationUnitTestSet",
    "Tool:AccessRepo",
    "Tool:CreateTool",
    "Tool:DeleteTool",
    "Tool:InvokeTool",
    "Tool:ModifyTool",
    "User:DeleteUser",
    "User:GetUserInfo",
    "User:GetUserModel",
    "User:InviteUser",
    "User:UpdateUserInfo",
    "Webhook:CreateWebhookDestination",
    "Webhook:DeleteWebhookDestination",
    "Webhook:GetWebhookDeliveries",
    "Webhook:GetWebhookDestination",
    "Webhook:UpdateWebhookDestination",
];

/// Whether `name` is one of the [`KNOWN`] permission names, written with a colon.
#[must_use]
pub fn is_known(name: &str) -> bool {
    KNOWN.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_sorted_and_unique() {
        assert!(KNOWN.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn known_names_have_category_and_action() {
        assert!(KNOWN.iter().all(|name| name.split(':').filter(|part| !part.is_empty()).count() == 2));
    }

    #[test]
    fn dotted_names_are_unknown() {
        assert!(is_known("Conversation:GetMessage"));
        assert!(!is_known("Conversation.GetMessage"));
        assert!(!is_known("Conversation:GetConversations"));
    }
}
