{{/*
Every template begins with this: it restores the defaults of values that are null (defaults.json is written by
`make generate` from values.yaml) and refuses values that cannot be used, whichever template Helm renders first.
*/}}
{{- define "notification-operator.prepare" -}}
{{- include "notification-common.applyDefaults" (list .Values (.Files.Get "defaults.json" | fromJson)) -}}
{{- include "notification-operator.validate" . -}}
{{- end }}

{{/* Reports every mistake that the schema cannot describe, each with its correction. */}}
{{- define "notification-operator.validate" -}}
{{- $aws := .Values.aws -}}
{{- $problems := list -}}
{{- if and $aws.emulated (not $aws.endpointUrl) -}}
{{- $problems = append $problems "aws.emulated is set without aws.endpointUrl: set the emulator's URL, such as http://local-emulators.stages.svc:4566" -}}
{{- end -}}
{{- if and $aws.emulated $aws.credentialsSecret -}}
{{- $problems = append $problems "aws.emulated and aws.credentialsSecret are both set: an emulator accepts its own key pair only, so leave one of them out" -}}
{{- end -}}
{{- $urls := dict -}}
{{- if $aws.emulated }}{{ $_ := set $urls "aws.endpointUrl" $aws.endpointUrl }}{{ end -}}
{{- if hasPrefix "http://" (.Values.momento.endpoint | default "") }}{{ $_ := set $urls "momento.endpoint" .Values.momento.endpoint }}{{ end -}}
{{- range $name, $url := $urls -}}
{{- if and $url (ne (include "notification-common.hasValidPort" $url) "true") -}}
{{- $problems = append $problems (printf "%s %q needs a host and, if it names a port, one from 1 to 65535, such as http://local-emulators.notification-dev.svc:4566" $name $url) -}}
{{- end -}}
{{- end -}}
{{- $problems = concat $problems (include "notification-common.validate.egress" . | fromJsonArray) -}}
{{- if $problems -}}
{{- fail (printf "\n\nThe values of this operator cannot be used:\n  * %s\n" (join "\n  * " $problems)) -}}
{{- end -}}
{{- end }}
