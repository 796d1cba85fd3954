{{/* A value as text. Helm reads whole numbers as floats and would print 1e+06, which the services refuse. */}}
{{- define "notification-api.envValue" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{/* (list $ "token"): the environment of a service, as far as it is known when the chart is rendered. */}}
{{- define "notification-api.settings" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := $root.Values -}}
{{- $settings := dict "SERVICE_NAME" $values.serviceName "STAGE_NAME" $values.stageName "PORT" "8080" "OPS_PORT" "9090" -}}
{{- with $values.logLevel }}{{ $_ := set $settings "LOG_LEVEL" . }}{{ end -}}
{{- if eq $component "processor" -}}
{{- $_ := set $settings "SHUTDOWN_GRACE_SECONDS" (include "notification-api.envValue" $values.shutdown.processorGraceSeconds) -}}
{{- else -}}
{{- $_ := set $settings "SHUTDOWN_GRACE_SECONDS" (include "notification-api.envValue" $values.shutdown.graceSeconds) -}}
{{- $_ := set $settings "SHUTDOWN_DELAY_SECONDS" (include "notification-api.envValue" $values.shutdown.delaySeconds) -}}
{{- $_ := set $settings "ALLOWED_ORIGINS" (join "," $values.allowedOrigins) -}}
{{- end -}}
{{- if ne $component "ingest" -}}
{{- $_ := set $settings "MOMENTO_API_KEY_PARAM_NAME" (include "notification-api.apiKeyParameter" $root) -}}
{{- with $values.momento.endpoint }}{{ $_ := set $settings "MOMENTO_ENDPOINT" . }}{{ end -}}
{{- end -}}
{{- if eq $component "ingest" -}}
{{- with $values.taskTypes }}{{ $_ := set $settings "TASK_TYPES" (join "," .) }}{{ end -}}
{{- end -}}
{{- if eq $component "token" -}}
{{- /* Replicas share Momento's vending quota; with an autoscaler its maximum counts. The extra replica of a rollout does
not: what Momento refuses in that time is tried again. */}}
{{- $_ := set $settings "VENDING_REPLICAS" (include "notification-api.envValue" (max 1 (int ($values.token.maxReplicas | default $values.token.replicas)))) -}}
{{- with $values.momento.webEndpoint }}{{ $_ := set $settings "MOMENTO_WEB_ENDPOINT" . }}{{ end -}}
{{- end -}}
{{- with $values.tracing.otlpEndpoint }}{{ $_ := set $settings "OTEL_EXPORTER_OTLP_ENDPOINT" . }}{{ end -}}
{{- range $name, $value := (index $values $component).settings }}{{ $_ := set $settings $name (include "notification-api.envValue" $value) }}{{ end -}}
{{- range $name := keys $settings | sortAlpha }}
{{ $name }}: {{ index $settings $name | quote }}
{{- end }}
{{- end }}

{{/* The AWS SDK's settings. */}}
{{- define "notification-api.awsEnv" -}}
{{- include "notification-api.resourceEnv" (list . "AWS_DEFAULT_REGION") }}
{{- include "notification-common.awsEnv" . }}
{{- end }}
