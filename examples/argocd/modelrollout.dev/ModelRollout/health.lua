-- Health of a ModelRollout. A rollout that needs nobody is Healthy; one that runs is Progressing, one that waits for a
-- person is Suspended, one that was rolled back or can't run is Degraded. The annotation
-- modelrollout.dev/argocd-waits: "false" shows Healthy while it runs or waits, so that later sync waves go on.
local status = obj.status
if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "being deleted: traffic goes back to legacy first"}
end
if status == nil or status.phase == nil or status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "waiting for the operator to see this version"}
end
local health = {
  Idle = "Healthy",
  Promoted = "Healthy",
  Paused = "Suspended",
  RolledBack = "Degraded",
  Invalid = "Degraded",
}
local found = {status = health[status.phase] or "Progressing", message = status.message or status.phase}
local stalled = nil
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    stalled = {status = "Degraded", message = condition.message}
  elseif condition.type == status.phase and condition.status ~= "True" then
    -- The phase tells how the last revision ended; the one that is asked for now has not begun.
    found = {status = "Progressing", message = found.message}
  end
end
found = stalled or found
local annotations = obj.metadata.annotations or {}
local running = found.status == "Progressing" or found.status == "Suspended"
if running and status.phase ~= "RollingBack" and annotations["modelrollout.dev/argocd-waits"] == "false" then
  found = {status = "Healthy", message = status.phase .. ": " .. found.message}
end
return found
