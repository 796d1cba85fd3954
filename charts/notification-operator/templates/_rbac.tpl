{{/*
Permissions that the operator needs in the whole cluster, whatever namespaces it watches: a namespace that is being
deleted loses its Roles first, and the finalizer of a Stage in it must still be removed once its processors have ended.
They are permissions to read, and to change Stages.
*/}}
{{- define "notification-operator.clusterRules" -}}
- apiGroups: [notification-api.io]
  resources: [stages]
  verbs: [get, list, watch, patch] # patch: the operator's finalizer
- apiGroups: [notification-api.io]
  resources: [stages/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list]
{{- end }}

{{/* Permissions that it needs in the namespaces of stages; with a list of namespaces, in those alone. */}}
{{- define "notification-operator.stageRules" -}}
- apiGroups: [""]
  resources: [configmaps] # <release>-outputs; list: whether those of the release exist
  verbs: [get, list, create, patch]
- apiGroups: [""]
  resources: [services, serviceaccounts] # whether those of the release exist
  verbs: [list]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [""]
  resources: [pods] # the deletion cost, just before a scale-in
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments] # an annotation that restarts the pods when the outputs change
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
{{- end }}
