{{- define "modelrollout.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "modelrollout.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "modelrollout.name" .) .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name (include "modelrollout.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "modelrollout.release" -}}
app.kubernetes.io/name: {{ include "modelrollout.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The operator's pods, and no others. */}}
{{- define "modelrollout.selector" -}}
{{ include "modelrollout.release" . }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "modelrollout.labels" -}}
{{ include "modelrollout.release" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: modelrollout
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Objects of the whole cluster carry the release's namespace in their name: two releases must not share them. */}}
{{- define "modelrollout.clusterName" -}}
{{- printf "%s.%s" .Release.Namespace (include "modelrollout.fullname" .) }}
{{- end }}

{{- define "modelrollout.account" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "modelrollout.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ required "serviceAccount.name must be given when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "modelrollout.image" -}}
{{- $repository := required "image.repository is empty: there is no published image yet, name the one that you built and pushed (--set image.repository=registry.example.com/modelrollout)" .Values.image.repository }}
{{- if .Values.image.digest }}{{ $repository }}@{{ .Values.image.digest }}
{{- else }}{{ $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* What the restricted profile asks of every container, and a file system that nobody can change. */}}
{{- define "modelrollout.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "modelrollout.pod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Rights in the namespaces that are served, as rules of a Role or ClusterRole. */}}
{{- define "modelrollout.rules" -}}
- apiGroups: [modelrollout.dev]
  resources: [modelrollouts]
  verbs: [get, list, watch, patch]
- apiGroups: [modelrollout.dev]
  resources: [modelrollouts/status, rolloutactions/status]
  verbs: [patch]
- apiGroups: [modelrollout.dev]
  resources: [rolloutactions]
  verbs: [get, list, watch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch]
{{- if (.Values.routers).ingressNginx }}
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, patch]
{{- end }}
{{- if (.Values.routers).istio }}
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get, list, watch, patch]
{{- end }}
{{- if (.Values.routers).traefik }}
- apiGroups: [traefik.io]
  resources: [traefikservices]
  verbs: [get, list, watch, patch]
{{- end }}
{{- if (.Values.routers).replicas }}
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch]
{{- end }}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* The Secret with the notification file; empty: nobody is told. */}}
{{- define "modelrollout.notifications" -}}
{{- if .Values.notifications.secretName }}{{ .Values.notifications.secretName }}
{{- else if .Values.notifications.file }}{{ include "modelrollout.fullname" . }}-notifications
{{- end }}
{{- end }}
