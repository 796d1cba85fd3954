{{/*
Names. Helm bounds a release's name to 53 characters, and `-processor` is the longest ending of a name that must be a
DNS label (63), so nothing is ever cut off, and names of two releases differ wherever the releases' names do. No ending
is the end of another one, so `a` and `a-token` in one namespace stay apart too (tests/chart holds this).
Called with (list $ "token").
*/}}
{{- define "notification-api.fullname" -}}
{{- (index . 0).Release.Name }}-{{ index . 1 -}}
{{- end }}

{{/* What never changes about a release's pods. */}}
{{- define "notification-api.releaseLabels" -}}
app.kubernetes.io/name: notification-api
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* (list $ "token") */}}
{{- define "notification-api.selectorLabels" -}}
{{ include "notification-api.releaseLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* (list $ "token"): of every object. Monitors turn notification-api.io/stage into the metrics' label `stage`. */}}
{{- define "notification-api.labels" -}}
{{- $root := index . 0 -}}
{{ include "notification-api.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: notification-api
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
notification-api.io/stage: {{ $root.Values.stageName | quote }}
{{- end }}

{{- define "notification-api.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* (list $ "token") */}}
{{- define "notification-api.serviceAccountName" -}}
{{- $account := (index (index . 0).Values (index . 1)).serviceAccount -}}
{{- if $account.create }}{{ $account.name | default (include "notification-api.fullname" .) }}{{ else }}{{ $account.name }}{{ end -}}
{{- end }}

{{/* The parameter that holds the Momento API key. */}}
{{- define "notification-api.apiKeyParameter" -}}
/{{ .Values.serviceName }}/{{ .Values.ssmStageName | default .Values.stageName }}/momento-api-key
{{- end }}

{{- define "notification-api.region" -}}
{{ .Values.aws.region | default (regexFind "^[^_]+" .Values.userPool.id) }}
{{- end }}
