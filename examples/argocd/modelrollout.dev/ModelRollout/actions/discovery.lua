-- What can be asked for in the present phase; the operator checks again and answers in the RolloutAction's status.
local status = obj.status or {}
local phase = status.phase or ""
local running = phase == "Preflight" or phase == "Progressing" or phase == "Paused"
return {
  abort = {disabled = not running},
  approve = {disabled = not running},
  pause = {disabled = not running},
  promote = {disabled = not running},
  resume = {disabled = phase ~= "Paused"},
  retry = {disabled = phase ~= "RolledBack"},
}
