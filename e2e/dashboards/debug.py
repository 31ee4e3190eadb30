"""For who looks after the operator."""

from __future__ import annotations

from e2e.dashboards.grafana import Dashboard, Panel, slowest

DEBUG = Dashboard(
    "debug",
    "Model rollouts: the operator itself",
    "now-1h",
    (
        Panel(
            "Looks at rollouts by outcome",
            "transient, throttled and conflict are tried again; bug freezes one rollout.",
            (("sum by (outcome) (rate(modelrollout_reconciles_total[5m]))", "{{outcome}}"),),
            unit="ops",
        ),
        Panel(
            "Time of a look, 99 % below",
            "With its writes. Seconds mean a slow API server.",
            ((slowest("modelrollout_reconcile_duration_seconds"), "look"),),
            unit="s",
        ),
        Panel(
            "Queue by priority",
            "Rollouts that are ready to be looked at. It should be empty most of the time.",
            (("sum by (priority) (modelrollout_queue_depth)", "{{priority}}"),),
        ),
        Panel(
            "Queue: longest wait, planned looks",
            "How long the oldest has waited; how many rollouts have a look planned.",
            (
                ("max(modelrollout_queue_oldest_age_seconds)", "oldest, s"),
                ("sum(modelrollout_queue_delayed)", "planned"),
            ),
        ),
        Panel(
            "Waiting for a worker, 99 % below",
            "By priority: urgent ones overtake the others.",
            ((slowest("modelrollout_queue_wait_seconds", by="priority"), "{{priority}}"),),
            unit="s",
        ),
        Panel(
            "Planned looks late by, 99 % below",
            "A second or more means that the process lacks CPU.",
            ((slowest("modelrollout_queue_wake_lateness_seconds"), "late"),),
            unit="s",
            limit=1,
        ),
        Panel(
            "Event loop late by, 99 % below",
            "A tenth of a second or more means that the process lacks CPU.",
            ((slowest("modelrollout_event_loop_lag_seconds"), "late"),),
            unit="s",
            limit=0.1,
        ),
        Panel(
            "Queries to Prometheus",
            "One for each SLI template and tick, however many rollouts there are; more while some catch up.",
            (("sum by (source) (rate(modelrollout_metric_queries_total[5m]))", "{{source}}"),),
            unit="reqps",
        ),
        Panel(
            "Time of a read, 99 % below",
            "By source and result.",
            ((slowest("modelrollout_metric_read_duration_seconds", by="source, result"), "{{source}} {{result}}"),),
            unit="s",
        ),
        Panel(
            "Watch: silence, and age of the last full list",
            "Seconds since anything was heard from the API server, and since everything was listed.",
            (
                ("max by (pod) (modelrollout_watch_age_seconds)", "{{pod}} silent"),
                ("max by (pod) (time() - modelrollout_last_resync_timestamp_seconds)", "{{pod}} listed"),
            ),
            unit="s",
        ),
        Panel(
            "Watch: failures, and what lists had to mend",
            "Ends of the watch; objects that a full list knew and the watch had not told.",
            (
                ("sum(increase(modelrollout_watch_failures_total[5m]))", "failures"),
                ("max(modelrollout_watch_drift_objects)", "mended"),
            ),
        ),
        Panel(
            "Memory",
            "Resident memory of each replica.",
            (
                (
                    "max by (pod) (process_resident_memory_bytes and on (pod, instance) modelrollout_build_info)",
                    "{{pod}}",
                ),
            ),
            unit="bytes",
        ),
        Panel(
            "CPU",
            "Cores of each replica.",
            (
                (
                    "sum by (pod) (rate(process_cpu_seconds_total[5m]) and on (pod, instance) modelrollout_build_info)",
                    "{{pod}}",
                ),
            ),
        ),
        Panel(
            "Open files",
            "Of each replica. A number that only grows is a leak.",
            (("max by (pod) (process_open_fds and on (pod, instance) modelrollout_build_info)", "{{pod}}"),),
        ),
        Panel(
            "Notifications",
            "By target and what became of them; how many wait; replicas that can't use their file.",
            (
                (
                    "sum by (target, result) (increase(modelrollout_notifications_total[5m]))",
                    "{{target}} {{result}}",
                ),
                ("max by (target) (modelrollout_notification_queue_length)", "{{target}} waiting"),
                ("sum(1 - modelrollout_notify_file_valid)", "bad files"),
            ),
        ),
        Panel(
            "Requests to notification targets",
            "By target and answer.",
            (
                (
                    "sum by (target, answer) (rate(modelrollout_notification_attempts_total[5m]))",
                    "{{target}} {{answer}}",
                ),
            ),
            unit="reqps",
        ),
        Panel(
            "Versions",
            "Replicas by version; two of them only during an upgrade.",
            (("count by (version) (modelrollout_build_info)", "{{version}}"),),
            kind="table",
        ),
    ),
)
