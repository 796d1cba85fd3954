{{/*
Helm removes a value that is null together with its default. So a null has the meaning of a value that is left out: each
template begins with this, which puts the defaults back (defaults.json is values.yaml, written by
`python -m k8s.chart_defaults`), whichever template Helm renders first.
*/}}
{{- define "notification-local.prepare" -}}
{{- include "notification-local.applyDefaults" (list .Values (.Files.Get "defaults.json" | fromJson)) -}}
{{- include "notification-local.validate" . -}}
{{- end }}

{{/* (list values defaults): in place. What a user takes out of a map whose keys are the user's own stays out. */}}
{{- define "notification-local.applyDefaults" -}}
{{- $values := first . -}}
{{- $defaults := last . -}}
{{- range $name, $default := $defaults -}}
{{- if kindIs "invalid" (index $values $name) -}}
{{- $_ := set $values $name $default -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $values -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $values $name -}}
{{- else if kindIs "map" $value -}}
{{- $free := has $name (list "resources" "podDisruptionBudget" "labels") -}}
{{- include "notification-local.applyDefaults" (list $value (ternary dict (index $defaults $name | default dict) $free)) -}}
{{- end -}}
{{- end -}}
{{- end }}
