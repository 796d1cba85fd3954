{{/* The name of everything here. No other chart of this project ends a name so: nothing collides in a namespace. */}}
{{- define "local.name" -}}
{{ .Release.Name }}-emulators
{{- end }}

{{/* How pods find it; by its full name, since the stages may live in other namespaces. */}}
{{- define "local.host" -}}
{{ include "local.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "local.selector" -}}
app.kubernetes.io/name: notification-local
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "local.labels" -}}
{{ include "local.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: notification-api
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "local.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* As environment for anything that calls the emulated AWS from this pod. The key pair is the emulator's only
one, and it is no secret: only pods and port-forwards reach the emulators, and they serve no foreign web pages. */}}
{{- define "local.awsEnv" -}}
- {name: AWS_ENDPOINT_URL, value: "http://127.0.0.1:{{ include "local.awsPort" . }}"}
- {name: AWS_DEFAULT_REGION, value: {{ .Values.region | quote }}}
- {name: AWS_REGION, value: {{ .Values.region | quote }}}
- {name: AWS_ACCESS_KEY_ID, value: local}
- {name: AWS_SECRET_ACCESS_KEY, value: local}
- {name: AWS_EC2_METADATA_DISABLED, value: "true"}
{{- end }}

{{/* What bootstrap and page both tell: addresses for pods, and for a browser behind port-forwards. */}}
{{- define "local.addressEnv" -}}
- {name: SERVICE_NAME, value: {{ .Values.serviceName | quote }}}
- {name: STAGE_AWS_URL, value: "http://{{ include "local.host" . }}:{{ include "local.awsPort" . }}"}
- {name: STAGE_MOMENTO_URL, value: "http://{{ include "local.host" . }}:{{ add .Values.portBase 4 }}"}
- {name: STAGE_MOMENTO_WEB_URL, value: "http://localhost:{{ add .Values.portBase 5 }}"}
- {name: STAGE_ORIGINS, value: {{ include "local.web_access.origins" . | quote }}}
{{- end }}

{{/* The pages that may use the stages: their own, behind a port-forward, and those that the values name. */}}
{{- define "local.web_access.origins" -}}
{{- $own := list (printf "http://localhost:%v" .Values.portBase) (printf "http://127.0.0.1:%v" .Values.portBase) -}}
{{ concat $own (.Values.allowedOrigins | default list) | uniq | join "," }}
{{- end }}

{{/* Which requests of web browsers are served (local/web_access): of these pages, and by these names. */}}
{{- define "local.webAccessEnv" -}}
{{- $name := include "local.name" . -}}
{{- $inNamespace := printf "%s.%s" $name .Release.Namespace -}}
{{- $host := include "local.host" . -}}
- {name: ALLOWED_ORIGINS, value: {{ include "local.web_access.origins" . | quote }}}
- {name: ALLOWED_HOSTS, value: {{ list "localhost" "127.0.0.1" $name $inNamespace $host (printf "%s.cluster.local" $host) | join "," | quote }}}
{{- end }}

{{- define "local.awsPort" -}}
{{ sub (int .Values.portBase) 3514 }}
{{- end }}

{{- define "local.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/*
A stage's name for its container and its release, whose Services need a DNS label that begins with a letter; 53 characters
at most, and different for each.
*/}}
{{- define "local.slug" -}}
{{- if and (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" .) (le (len .) 53) -}}
{{ . }}
{{- else -}}
{{ regexReplaceAll "^([0-9])" (lower . | replace "_" "-") "s-${1}" | trunc 44 }}-{{ sha256sum . | trunc 8 }}
{{- end -}}
{{- end }}

{{/* Emulators do not belong where people rely on what is stored. */}}
{{- define "local.refuseProduction" -}}
{{- $namespace := lookup "v1" "Namespace" "" .Release.Namespace -}}
{{- if eq (dig "metadata" "labels" "stage" "" ($namespace | default dict)) "prod" -}}
{{- fail (printf "\n\nThe namespace %s is labelled stage=prod: emulators, which forget everything, are not installed there. Use another namespace." .Release.Namespace) -}}
{{- end -}}
{{- end }}
