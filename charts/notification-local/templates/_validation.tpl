{{/*
Every template begins with this: it restores the defaults of values that are null (defaults.json is written by
`make generate` from values.yaml) and refuses values that cannot be used, whichever template Helm renders first.
*/}}
{{- define "notification-local.prepare" -}}
{{- include "notification-common.applyDefaults" (list .Values (.Files.Get "defaults.json" | fromJson)) -}}
{{- include "notification-local.validate" . -}}
{{- end }}

{{/* Names of stages and of the service follow the rules of charts/notification-api. */}}
{{- define "notification-local.validate" -}}
{{- $problems := list -}}
{{- $pattern := "^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$" -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" .Release.Name) -}}
{{- $problems = append $problems (printf "the release's name %q must begin with a letter and contain lower-case letters, digits and - only, since its Service is named after it" .Release.Name) -}}
{{- end -}}
{{- if not (regexMatch $pattern .Values.serviceName) -}}
{{- $problems = append $problems (printf "serviceName %q may contain letters, digits, - and _ only, and must begin and end with a letter or digit" .Values.serviceName) -}}
{{- end -}}
{{- range $stage := .Values.stages -}}
{{- $queue := printf "%s-%s-tasks" $.Values.serviceName $stage -}}
{{- if not (regexMatch $pattern $stage) -}}
{{- $problems = append $problems (printf "stages has %q: a name may contain letters, digits, - and _ only, and must begin and end with a letter or digit" $stage) -}}
{{- else if gt (len $stage) 63 -}}
{{- $problems = append $problems (printf "stages has %q of %d characters: use 63 at most" $stage (len $stage)) -}}
{{- else if gt (len $queue) 80 -}}
{{- $problems = append $problems (printf "the task queue's name %q has %d characters, but SQS permits 80: shorten the stage's name or serviceName" $queue (len $queue)) -}}
{{- else if eq $stage "prod" -}}
{{- $problems = append $problems "stages has prod, but production cannot run on emulators, which lose their data: use another name" -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\nThe values of this local stack cannot be used:\n  * %s\n" (join "\n  * " $problems)) -}}
{{- end -}}
{{- end }}
