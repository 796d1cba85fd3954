{{/* What the pods of the services and of `helm test` have in common. */}}
{{- define "notification-api.podSpec" -}}
# The services do not call Kubernetes; IRSA and Pod Identity mount a token of their own.
automountServiceAccountToken: false
{{ include "notification-common.podSpec" . }}
{{- end }}

{{/* (list $ "token"): spread replicas over zones and nodes as far as possible. */}}
{{- define "notification-api.topologySpread" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.topologySpreadConstraints }}
{{- toYaml $root.Values.topologySpreadConstraints }}
{{- else }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  # Each revision is spread separately: during a rollout the old pods do not count.
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{- include "notification-api.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Probes use the operations port, so that a pod with many requests does not fail them. */}}
{{- define "notification-api.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: ops}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: ops}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: ops}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}
