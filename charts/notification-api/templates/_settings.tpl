{{/* A value as the services read it: YAML's whole numbers come as floats, and 1e+06 is no number of bytes. */}}
{{- define "notification-api.envValue" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{/* (list $ "token"): the environment of a service, all of it known when the chart is rendered. */}}
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
{{- if eq $component "token" -}}
{{- /* Replicas share Momento's quota. The one that a rollout adds does not count: what Momento refuses meanwhile waits
for another turn. Where an autoscaler decides, its maximum counts. */}}
{{- $_ := set $settings "VENDING_REPLICAS" (include "notification-api.envValue" (max 1 (int ($values.token.maxReplicas | default $values.token.replicas)))) -}}
{{- with $values.momento.webEndpoint }}{{ $_ := set $settings "MOMENTO_WEB_ENDPOINT" . }}{{ end -}}
{{- end -}}
{{- with $values.tracing.otlpEndpoint }}{{ $_ := set $settings "OTEL_EXPORTER_OTLP_ENDPOINT" . }}{{ end -}}
{{- range $name, $value := (index $values $component).settings }}{{ $_ := set $settings $name (include "notification-api.envValue" $value) }}{{ end -}}
{{- range $name := keys $settings | sortAlpha }}
{{ $name }}: {{ index $settings $name | quote }}
{{- end }}
{{- end }}

{{/* The SDK's own settings. The emulator's key pair is public; a real one comes as a file, by IRSA or Pod Identity. */}}
{{- define "notification-api.awsEnv" -}}
{{- include "notification-api.resourceEnv" (list . "AWS_DEFAULT_REGION") }}
{{- with .Values.aws.endpointUrl }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- if .Values.aws.emulated }}
- name: AWS_ACCESS_KEY_ID
  value: local
- name: AWS_SECRET_ACCESS_KEY
  value: local
- name: AWS_EC2_METADATA_DISABLED
  value: "true"
{{- else if .Values.aws.credentialsSecret }}
- name: AWS_SHARED_CREDENTIALS_FILE
  value: /var/run/secrets/aws/credentials
{{- end }}
{{- end }}

{{/* The port of a URL that was validated: the one that it names, else that of its scheme. */}}
{{- define "notification-api.urlPort" -}}
{{- $authority := regexFind "^https?://[^/]+" . -}}
{{- regexFind ":[0-9]+$" $authority | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https://" .)) -}}
{{- end }}

{{/* The ports of notification-local that the stage uses, as a JSON array of numbers. */}}
{{- define "notification-api.emulatorPorts" -}}
{{- $ports := list -}}
{{- if .Values.aws.emulated }}{{ $ports = append $ports (include "notification-api.urlPort" .Values.aws.endpointUrl | int) }}{{ end -}}
{{- if hasPrefix "http://" (.Values.momento.endpoint | default "") }}{{ $ports = append $ports (include "notification-api.urlPort" .Values.momento.endpoint | int) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end }}
