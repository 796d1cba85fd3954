{{- define "operator.name" -}}
{{ .Release.Name }}
{{- end }}

{{- define "operator.selector" -}}
app.kubernetes.io/name: notification-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: notification-api
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "operator.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Said by hand, or the uid of kube-system, which is as good as a cluster's own and the same after a reinstallation. */}}
{{- define "operator.clusterName" -}}
{{- $system := lookup "v1" "Namespace" "" "kube-system" | default dict -}}
{{- $uid := dig "metadata" "uid" "" $system -}}
{{- if .Values.clusterName }}{{ .Values.clusterName }}{{ else if $uid }}{{ $uid }}{{ else -}}
{{- fail "\n\nclusterName is not set and the cluster cannot be asked (a rendering without one): give the cluster a name, such as --set clusterName=staging\n" -}}
{{- end -}}
{{- end }}

{{/* A role that may not see every namespace is made in each of those watched. */}}
{{- define "operator.rules" -}}
- apiGroups: [notification-api.io]
  resources: [stages]
  verbs: [get, list, watch, patch] # patch: its own finalizer
- apiGroups: [notification-api.io]
  resources: [stages/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps] # <release>-outputs
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [""]
  resources: [pods] # patch: the cost of deletion, just before a scale-in
  verbs: [list, patch]
- apiGroups: [apps]
  resources: [deployments] # patch: an annotation that rolls the pods when the outputs change
  verbs: [list, patch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
{{- end }}
