{{/*
The stage's resources, under the names of the services' settings. They come from the values where all of them exist
already, else from the ConfigMap <release>-outputs that the operator writes.
*/}}

{{/* "true" where the operator creates some of the resources and passes their names to the pods. */}}
{{- define "notification-api.createsResources" -}}
{{- if not (and .Values.queue.url .Values.userPool.clientId .Values.momento.cacheName) }}true{{ end -}}
{{- end }}

{{/* "true" where the operator manages this stage: it is installed, and there is something to create or to scale. */}}
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
# An emulator signs with AWS' issuer, but has its own address.
OIDC_JWKS_URL: {{ printf "%s/.well-known/jwks.json" (ternary (printf "%s/%s" (trimSuffix "/" .Values.aws.endpointUrl) .Values.userPool.id) $issuer .Values.aws.emulated) | quote }}
USER_POOL_ID: {{ .Values.userPool.id | quote }}
AWS_DEFAULT_REGION: {{ include "notification-api.region" . | quote }}
{{- end }}

{{/* (list $ "TASK_QUEUE_URL" …): these settings as a container's environment. */}}
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
