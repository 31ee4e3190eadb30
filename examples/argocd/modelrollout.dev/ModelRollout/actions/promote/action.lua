-- Creates a RolloutAction Promote; nothing in Git changes.
local action = {}
action.apiVersion = "modelrollout.dev/v1alpha1"
action.kind = "RolloutAction"
action.metadata = {}
action.metadata.name = obj.metadata.name .. "-promote-" .. os.date("!%Y%m%d%H%M%S")
action.metadata.namespace = obj.metadata.namespace
action.spec = {}
action.spec.rollout = obj.metadata.name
action.spec.action = "Promote"
action.spec.reason = "asked for in Argo CD"
return {{operation = "create", resource = action}}
