{{/* The restricted pod security profile, and a user whom the image knows by number alone. */}}
{{- define "notification-api.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "notification-api.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* What pods of a service and of a helm test share. */}}
{{- define "notification-api.podSpec" -}}
# The services do not speak to Kubernetes; IRSA and Pod Identity bring a token of their own.
automountServiceAccountToken: false
# A Service called x would set X_PORT in every pod of the namespace.
enableServiceLinks: false
securityContext: {{- include "notification-api.podSecurityContext" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* (list $ "token"): replicas apart from each other, as far as there is room. */}}
{{- define "notification-api.topologySpread" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.topologySpreadConstraints }}
{{- toYaml $root.Values.topologySpreadConstraints }}
{{- else }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  # Each revision by itself: during a rollout the old pods do not count.
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{- include "notification-api.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Probes ask the operations port, so that a flood of requests cannot make a healthy pod look dead. */}}
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
