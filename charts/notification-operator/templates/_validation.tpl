{{/* What the schema cannot say in a sentence. */}}
{{- define "notification-operator.validate" -}}
{{- $aws := .Values.aws -}}
{{- if and $aws.emulated (not $aws.endpointUrl) -}}
{{- fail "\n\naws.emulated is set without aws.endpointUrl: say where the emulator is, such as http://local-emulators.stages.svc:4566\n" -}}
{{- end -}}
{{- if and $aws.emulated $aws.credentialsSecret -}}
{{- fail "\n\naws.emulated and aws.credentialsSecret are both set: an emulator takes its own key pair only, so leave one of them out\n" -}}
{{- end -}}
{{- end }}
