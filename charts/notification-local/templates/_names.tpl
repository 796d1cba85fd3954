{{/* Name of every object. No other chart of this project uses the suffix, so names in a namespace do not collide. */}}
{{- define "notification-local.fullname" -}}
{{ .Release.Name }}-emulators
{{- end }}

{{/* Host name for pods, with the namespace, since stages may be in other namespaces. */}}
{{- define "notification-local.host" -}}
{{ include "notification-local.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "notification-local.selectorLabels" -}}
app.kubernetes.io/name: notification-local
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "notification-local.labels" -}}
{{ include "notification-local.selectorLabels" . }}
{{ include "notification-common.labels" . }}
{{- end }}

{{/* Environment of containers that call the emulated AWS in this pod. The emulator has this one key pair, which is public:
only pods and port-forwards reach the emulators, and they refuse requests of other web sites. */}}
{{- define "notification-local.awsEnv" -}}
- {name: AWS_ENDPOINT_URL, value: "http://127.0.0.1:{{ include "notification-local.awsPort" . }}"}
- {name: AWS_DEFAULT_REGION, value: {{ .Values.region | quote }}}
- {name: AWS_REGION, value: {{ .Values.region | quote }}}
- {name: AWS_ACCESS_KEY_ID, value: local}
- {name: AWS_SECRET_ACCESS_KEY, value: local}
- {name: AWS_EC2_METADATA_DISABLED, value: "true"}
{{- end }}

{{/* Addresses that bootstrap and the application hand out: for pods, and for a browser behind port-forwards. */}}
{{- define "notification-local.addressEnv" -}}
- {name: SERVICE_NAME, value: {{ .Values.serviceName | quote }}}
- {name: STAGE_AWS_URL, value: "http://{{ include "notification-local.host" . }}:{{ include "notification-local.awsPort" . }}"}
- {name: STAGE_MOMENTO_URL, value: "http://{{ include "notification-local.host" . }}:{{ add .Values.portBase 4 }}"}
- {name: STAGE_MOMENTO_WEB_URL, value: "http://localhost:{{ add .Values.portBase 5 }}"}
- {name: STAGE_ORIGINS, value: {{ include "notification-local.origins" . | quote }}}
{{- end }}

{{/* Origins that may call the stages: the application behind a port-forward, and allowedOrigins. */}}
{{- define "notification-local.origins" -}}
{{- $own := list (printf "http://localhost:%v" .Values.portBase) (printf "http://127.0.0.1:%v" .Values.portBase) -}}
{{ concat $own (.Values.allowedOrigins | default list) | uniq | join "," }}
{{- end }}

{{/* Origins and host names of browser requests that the emulators serve (local/web_access). */}}
{{- define "notification-local.webAccessEnv" -}}
{{- $name := include "notification-local.fullname" . -}}
{{- $inNamespace := printf "%s.%s" $name .Release.Namespace -}}
{{- $host := include "notification-local.host" . -}}
- {name: ALLOWED_ORIGINS, value: {{ include "notification-local.origins" . | quote }}}
- {name: ALLOWED_HOSTS, value: {{ list "localhost" "127.0.0.1" $name $inNamespace $host (printf "%s.cluster.local" $host) | join "," | quote }}}
{{- end }}

{{- define "notification-local.awsPort" -}}
{{ sub (int .Values.portBase) 3514 }}
{{- end }}

{{/*
A stage's name as part of the names of its container and its release: a DNS label that begins with a letter, at most 53
characters long, and different for each stage.
*/}}
{{- define "notification-local.slug" -}}
{{- if and (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" .) (le (len .) 53) -}}
{{ . }}
{{- else -}}
{{ regexReplaceAll "^([0-9])" (lower . | replace "_" "-") "s-${1}" | trunc 44 }}-{{ sha256sum . | trunc 8 }}
{{- end -}}
{{- end }}

{{/* Emulators lose their data, so they are refused in a production namespace. */}}
{{- define "notification-local.validate.namespace" -}}
{{- $namespace := lookup "v1" "Namespace" "" .Release.Namespace -}}
{{- if eq (dig "metadata" "labels" "stage" "" ($namespace | default dict)) "prod" -}}
{{- fail (printf "\n\nThe namespace %s is labelled stage=prod: emulators, which lose their data, cannot be installed there. Use another namespace." .Release.Namespace) -}}
{{- end -}}
{{- end }}
