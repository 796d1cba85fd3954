{{- define "notification-operator.fullname" -}}
{{ .Release.Name }}
{{- end }}

{{/*
Name of objects without a namespace, or in a namespace other than the release's: it differs for releases of two
namespaces. The separator is a colon, which neither a namespace nor a release can contain; with a hyphen `a-b` and `c`
would give the same name as `a` and `b-c`.
*/}}
{{- define "notification-operator.clusterScopedName" -}}
{{ .Release.Namespace }}:{{ .Release.Name }}
{{- end }}

{{- define "notification-operator.selectorLabels" -}}
app.kubernetes.io/name: notification-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "notification-operator.labels" -}}
{{ include "notification-operator.selectorLabels" . }}
{{ include "notification-common.labels" . }}
{{- end }}

{{/* The check that runs before an uninstall. Neither the Deployment nor the PodMonitor selects its pods. */}}
{{- define "notification-operator.uninstallCheck.fullname" -}}
{{- $name := include "notification-operator.fullname" . -}}
{{- /* The name of a Job has at most 63 characters, that of a release at most 53. */ -}}
{{- if gt (len $name) 47 }}{{ $name = printf "%s-%s" (trunc 38 $name) (sha256sum $name | trunc 8) }}{{ end -}}
{{ $name }}-uninstall-check
{{- end }}

{{- define "notification-operator.uninstallCheck.selectorLabels" -}}
app.kubernetes.io/name: notification-operator-uninstall-check
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "notification-operator.uninstallCheck.labels" -}}
{{ include "notification-operator.uninstallCheck.selectorLabels" . }}
{{ include "notification-common.labels" . }}
{{- end }}

{{/* clusterName, or the uid of the namespace kube-system, which is unique to a cluster and survives a reinstallation. */}}
{{- define "notification-operator.clusterName" -}}
{{- $system := lookup "v1" "Namespace" "" "kube-system" | default dict -}}
{{- $uid := dig "metadata" "uid" "" $system -}}
{{- if .Values.clusterName }}{{ .Values.clusterName }}{{ else if $uid }}{{ $uid }}{{ else -}}
{{- fail "\n\nclusterName is not set, and there is no cluster to read the uid of kube-system from: set it, such as --set clusterName=staging\n" -}}
{{- end -}}
{{- end }}
