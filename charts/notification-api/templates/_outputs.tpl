{{/*
What the stage is made of, under the names that the services' settings have. This is the one place that knows: where an
operator makes the resources, it is the place that reads them from the ConfigMap <release>-outputs instead.
*/}}
{{- define "notification-api.outputs" -}}
{{- $issuer := printf "https://cognito-idp.%s.amazonaws.com/%s" (regexFind "^[^_]+" .Values.userPool.id) .Values.userPool.id -}}
TASK_QUEUE_URL: {{ .Values.queue.url | quote }}
DEAD_LETTER_QUEUE_URL: {{ .Values.queue.deadLetterUrl | quote }}
MOMENTO_CACHE_NAME: {{ .Values.momento.cacheName | quote }}
OIDC_ISSUER: {{ $issuer | quote }}
OIDC_AUDIENCE: {{ .Values.userPool.clientId | quote }}
# An emulator signs as AWS does but is found elsewhere.
OIDC_JWKS_URL: {{ printf "%s/.well-known/jwks.json" (ternary (printf "%s/%s" (trimSuffix "/" .Values.aws.endpointUrl) .Values.userPool.id) $issuer .Values.aws.emulated) | quote }}
{{- end }}

{{/* (list $ "TASK_QUEUE_URL" …): those outputs as a container's environment. */}}
{{- define "notification-api.outputsEnv" -}}
{{- $outputs := include "notification-api.outputs" (first .) | fromYaml -}}
{{- range rest . }}
- name: {{ . }}
  value: {{ index $outputs . | quote }}
{{- end }}
{{- end }}
