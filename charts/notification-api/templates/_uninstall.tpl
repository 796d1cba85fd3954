{{/*
What an uninstall deletes and keeps, for NOTES.txt.
*/}}

{{/* The effective deletionPolicy. k8s/operator/api/stage.py has the same rule: a production name is retained. */}}
{{- define "notification-api.deletionPolicy" -}}
{{- $production := regexMatch "(?i)(^|[-_])(prod|production|prd|live|main)[0-9]*([-_]|$)" .Values.stageName -}}
{{- .Values.deletionPolicy | default (ternary "Retain" "Delete" $production) -}}
{{- end }}

{{/* Lines: resources that the operator created or adopted. */}}
{{- define "notification-api.createdResources" -}}
{{- $stem := printf "%s-%s" .Values.serviceName .Values.stageName -}}
{{- if not .Values.queue.url }}
    SQS queues {{ $stem }}-tasks and {{ $stem }}-dlq, with the messages in them
{{- end }}
{{- if not .Values.userPool.id }}
    Cognito user pool {{ $stem }}-UserPool and its client, with all users
{{- else if not .Values.userPool.clientId }}
    client {{ $stem }}-UserPoolClient of the existing user pool {{ .Values.userPool.id }}
{{- end }}
{{- if not .Values.momento.cacheName }}
    Momento cache {{ $stem }}, with the notification history
{{- end }}
{{- end }}

{{/* Lines: existing resources that the values name. */}}
{{- define "notification-api.existingResources" -}}
{{- if .Values.queue.url }}
    SQS queues {{ .Values.queue.url }} and {{ .Values.queue.deadLetterUrl }}
{{- end }}
{{- if .Values.userPool.id }}
    Cognito user pool {{ .Values.userPool.id }}{{ with .Values.userPool.clientId }} and its client {{ . }}{{ end }}
{{- end }}
{{- if .Values.momento.cacheName }}
    Momento cache {{ .Values.momento.cacheName }}
{{- end }}
{{- end }}

{{- define "notification-api.uninstallNotes" -}}
{{- $policy := include "notification-api.deletionPolicy" . -}}
{{- $own := ternary (include "notification-api.createdResources" .) "" (eq (include "notification-api.managedByOperator" .) "true") -}}
{{- $why := ternary "as set" (ternary "the default, because stageName looks like production" "the default" (eq $policy "Retain")) (not (empty .Values.deletionPolicy)) -}}
What `helm uninstall {{ .Release.Name }} -n {{ .Release.Namespace }}` does to the stage's data:
{{- if not $own }}
  It deletes none of it.
{{- else if eq $policy "Delete" }}
  It deletes (deletionPolicy Delete, {{ $why }}), whether the operator created or adopted it:
{{- $own }}
{{- else }}
  It keeps (deletionPolicy Retain, {{ $why }}):
{{- $own }}
{{- end }}
{{- with include "notification-api.existingResources" . }}
  It keeps these existing resources:
{{- . }}
{{- end }}
{{- if and $own (eq $policy "Delete") }}
  While the user pool or a queue is protected against deletion (userPool.deletionProtection, or by hand), it deletes
  nothing and waits; the conditions of the Stage say so.
  To keep everything:
    kubectl -n {{ .Release.Namespace }} patch stage {{ .Release.Name }} --type=merge -p '{"spec":{"deletionPolicy":"Retain"}}'
{{- end }}
{{- end }}
