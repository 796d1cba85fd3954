{{/*
(list $ "token"): the name of an object. Helm limits a release's name to 53 characters, and `-processor` is the longest
suffix of a name that must be a DNS label (63), so no name is truncated, and objects of two releases never have the same
name. No suffix is the end of another one, so releases `a` and `a-token` in one namespace do not collide either
(tests/chart checks this).
*/}}
{{- define "notification-api.fullname" -}}
{{- (index . 0).Release.Name }}-{{ index . 1 -}}
{{- end }}

{{/* Labels that select all pods of the release. They never change. */}}
{{- define "notification-api.releaseLabels" -}}
app.kubernetes.io/name: notification-api
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* (list $ "token"): labels that select the pods of a component. */}}
{{- define "notification-api.selectorLabels" -}}
{{ include "notification-api.releaseLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* (list $ "token"): labels of every object. The PodMonitor makes the metric label `stage` of notification-api.io/stage. */}}
{{- define "notification-api.labels" -}}
{{- $root := index . 0 -}}
{{ include "notification-api.selectorLabels" . }}
{{ include "notification-common.labels" $root }}
notification-api.io/stage: {{ $root.Values.stageName | quote }}
{{- end }}

{{/* (list $ "token") */}}
{{- define "notification-api.serviceAccountName" -}}
{{- $account := (index (index . 0).Values (index . 1)).serviceAccount -}}
{{- if $account.create }}{{ $account.name | default (include "notification-api.fullname" .) }}{{ else }}{{ $account.name }}{{ end -}}
{{- end }}

{{/* Name of the SSM parameter that holds the Momento API key. */}}
{{- define "notification-api.apiKeyParameter" -}}
/{{ .Values.serviceName }}/{{ .Values.ssmStageName | default .Values.stageName }}/momento-api-key
{{- end }}

{{- define "notification-api.region" -}}
{{ .Values.aws.region | default (regexFind "^[^_]+" .Values.userPool.id) }}
{{- end }}
