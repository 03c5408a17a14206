-- Health check for Organization, Role, RoleAssignment, and TemporaryPermissionGrant. It uses Lua 5.1 without the string
-- library, because Argo CD does not provide that library to health checks.
local ended = { Expired = true, NotAfterPassed = true }

local function health(status, message)
  return { status = status, message = message or "" }
end

local function condition(name)
  local conditions = obj.status ~= nil and obj.status.conditions or {}
  for _, found in ipairs(conditions) do
    if found.type == name then
      return found
    end
  end
  return {}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Deletion in progress")
end

local ready = condition("Ready")
if ready.status == nil then
  return health("Progressing", "Waiting for the operator")
end
-- A condition of an older generation is outdated.
if obj.metadata.generation ~= nil and ready.observedGeneration ~= nil
  and ready.observedGeneration < obj.metadata.generation then
  return health("Progressing", "Waiting for the operator")
end

if ready.status == "True" or ended[ready.reason] then
  return health("Healthy", ready.message)
end
if ready.reason == "Suspended" then
  return health("Suspended", ready.message)
end
local stalled = condition("Stalled")
if stalled.status == "True" then
  return health("Degraded", stalled.message)
end
if ready.reason == "Conflict" then
  return health("Degraded", ready.message)
end
return health("Progressing", ready.message)
