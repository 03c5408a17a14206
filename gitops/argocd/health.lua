-- The health of Organization, Role, RoleAssignment and TemporaryPermissionGrant. Lua 5.1 without the string library,
-- which is what Argo CD gives to such scripts.
local over = { Expired = true, NotAfterPassed = true }

local function health(status, message)
  return { status = status, message = message or "" }
end

local function condition(kind)
  local conditions = obj.status ~= nil and obj.status.conditions or {}
  for _, found in ipairs(conditions) do
    if found.type == kind then
      return found
    end
  end
  return {}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "is being deleted")
end

local ready = condition("Ready")
if ready.status == nil then
  return health("Progressing", "waits for the operator")
end
-- What a condition says of an older generation is old.
if obj.metadata.generation ~= nil and ready.observedGeneration ~= nil
  and ready.observedGeneration < obj.metadata.generation then
  return health("Progressing", "waits for the operator")
end

if ready.status == "True" or over[ready.reason] then
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
