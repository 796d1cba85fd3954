{{/*
What the stage is made of, under the names that the services' settings have. This is the one place that knows where they
come from: from the values where everything is given, else from the ConfigMap <release>-outputs that the operator writes.
*/}}

{{/* "true" where something is not given, so that the operator makes it and tells the pods its name. */}}
{{- define "notification-api.createsResources" -}}
{{- if not (and .Values.queue.url .Values.userPool.clientId .Values.momento.cacheName) }}true{{ end -}}
{{- end }}

{{/* "true" where the operator looks after this stage: it is there, and there is something to make or to scale. */}}
{{- define "notification-api.managedByOperator" -}}
{{- if and (.Capabilities.APIVersions.Has "notification-api.io/v1alpha1/Stage") (or (include "notification-api.createsResources" .) (eq .Values.scaling.engine "operator")) }}true{{ end -}}
{{- end }}

{{- define "notification-api.resourceSettings" -}}
{{- $issuer := printf "https://cognito-idp.%s.amazonaws.com/%s" (regexFind "^[^_]+" .Values.userPool.id) .Values.userPool.id -}}
TASK_QUEUE_URL: {{ .Values.queue.url | quote }}
DEAD_LETTER_QUEUE_URL: {{ .Values.queue.deadLetterUrl | quote }}
MOMENTO_CACHE_NAME: {{ .Values.momento.cacheName | quote }}
OIDC_ISSUER: {{ $issuer | quote }}
OIDC_AUDIENCE: {{ .Values.userPool.clientId | quote }}
# An emulator signs as AWS does but is found elsewhere.
OIDC_JWKS_URL: {{ printf "%s/.well-known/jwks.json" (ternary (printf "%s/%s" (trimSuffix "/" .Values.aws.endpointUrl) .Values.userPool.id) $issuer .Values.aws.emulated) | quote }}
USER_POOL_ID: {{ .Values.userPool.id | quote }}
AWS_DEFAULT_REGION: {{ include "notification-api.region" . | quote }}
{{- end }}

{{/* (list $ "TASK_QUEUE_URL" …): those outputs as a container's environment. */}}
{{- define "notification-api.resourceEnv" -}}
{{- $root := first . -}}
{{- $outputs := include "notification-api.resourceSettings" $root | fromYaml -}}
{{- range rest . }}
- name: {{ . }}
  {{- if and (include "notification-api.createsResources" $root) (not (and (eq . "AWS_DEFAULT_REGION") $root.Values.aws.region)) }}
  valueFrom:
    configMapKeyRef: {name: {{ include "notification-api.fullname" (list $root "outputs") }}, key: {{ . }}}
  {{- else }}
  value: {{ index $outputs . | quote }}
  {{- end }}
{{- end }}
{{- end }}
