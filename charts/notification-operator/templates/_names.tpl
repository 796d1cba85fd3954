{{- define "notification-operator.fullname" -}}
{{ .Release.Name }}
{{- end }}

{{/*
For what has no namespace, or one of somebody else's: releases of two namespaces stay apart. No namespace and no release
has a colon in its name, while `a-b` and `c` would be `a` and `b-c` with a hyphen between.
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
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: notification-api
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What runs before an uninstall. Its pods are not the operator's: neither Deployment nor PodMonitor selects them. */}}
{{- define "notification-operator.uninstallCheck.fullname" -}}
{{- $name := include "notification-operator.fullname" . -}}
{{- /* Kubernetes takes 63 characters in a Job's name, and a release has up to 53. */ -}}
{{- if gt (len $name) 47 }}{{ $name = printf "%s-%s" (trunc 38 $name) (sha256sum $name | trunc 8) }}{{ end -}}
{{ $name }}-uninstall-check
{{- end }}

{{- define "notification-operator.uninstallCheck.selectorLabels" -}}
app.kubernetes.io/name: notification-operator-uninstall-check
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "notification-operator.uninstallCheck.labels" -}}
{{ include "notification-operator.uninstallCheck.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: notification-api
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "notification-operator.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Said by hand, or the uid of kube-system, which is as good as a cluster's own and the same after a reinstallation. */}}
{{- define "notification-operator.clusterName" -}}
{{- $system := lookup "v1" "Namespace" "" "kube-system" | default dict -}}
{{- $uid := dig "metadata" "uid" "" $system -}}
{{- if .Values.clusterName }}{{ .Values.clusterName }}{{ else if $uid }}{{ $uid }}{{ else -}}
{{- fail "\n\nclusterName is not set and the cluster cannot be asked (a rendering without one): give the cluster a name, such as --set clusterName=staging\n" -}}
{{- end -}}
{{- end }}

{{/*
Needed everywhere, whatever is watched: a namespace on its way out loses its Roles first, and a Stage in it still has to
be let go of, once its processors are seen to be gone. All of it is reading, and what is the operator's own.
*/}}
{{- define "notification-operator.clusterRules" -}}
- apiGroups: [notification-api.io]
  resources: [stages]
  verbs: [get, list, watch, patch] # patch: its own finalizer
- apiGroups: [notification-api.io]
  resources: [stages/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list]
{{- end }}

{{/* Needed where stages live; with a list of namespaces, in those alone. */}}
{{- define "notification-operator.stageRules" -}}
- apiGroups: [""]
  resources: [configmaps] # <release>-outputs; list: whether those of the release exist
  verbs: [get, list, create, patch]
- apiGroups: [""]
  resources: [services, serviceaccounts] # whether those of the release exist
  verbs: [list]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [""]
  resources: [pods] # the cost of deletion, just before a scale-in
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments] # an annotation that rolls the pods when the outputs change
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
{{- end }}

{{/* The port of an emulator's URL as a number: the one that it names, else that of its scheme. (list NAME URL) */}}
{{- define "notification-operator.urlPort" -}}
{{- $url := last . -}}
{{- $authority := regexFind "^https?://[^/]*" $url -}}
{{- $port := regexFind ":[0-9]+$" $authority | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https://" $url)) | int -}}
{{- if not (and (regexMatch "^https?://(\\[[0-9A-Fa-f:.]+\\]|[^][:]+)(:[0-9]{1,5})?$" $authority) (ge $port 1) (le $port 65535)) -}}
{{- fail (printf "\n\n%s %q needs a host, and a port from 1 to 65535 where it names one, such as http://local-emulators.notification-dev.svc:4566\n" (first .) $url) -}}
{{- end -}}
{{- $port -}}
{{- end }}

{{/* The ports of notification-local that the operator uses, as a JSON array of numbers. */}}
{{- define "notification-operator.emulatorPorts" -}}
{{- $ports := list -}}
{{- if .Values.aws.emulated }}{{ $ports = append $ports (include "notification-operator.urlPort" (list "aws.endpointUrl" .Values.aws.endpointUrl) | int) }}{{ end -}}
{{- if hasPrefix "http://" (.Values.momento.endpoint | default "") }}{{ $ports = append $ports (include "notification-operator.urlPort" (list "momento.endpoint" .Values.momento.endpoint) | int) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end }}
