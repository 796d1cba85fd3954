{{/*
Templates that the charts of this project share. The file is the same in each of them: edit the one of notification-api,
and `make fmt` copies it. A library chart would need `helm dependency build` before an install from a checkout.
*/}}

{{/*
(list values defaults): restore the defaults that Helm removed because a value is null, in place. A null then means the
same as a value that is left out. In maps with keys of the user's own (resources, labels) a null removes the key. A null
in `replicas` stays and is refused: it may be meant for an autoscaler.
*/}}
{{- define "notification-common.applyDefaults" -}}
{{- $values := first . -}}
{{- $defaults := last . -}}
{{- range $name, $default := $defaults -}}
{{- if and (kindIs "invalid" (index $values $name)) (ne $name "replicas") -}}
{{- $_ := set $values $name $default -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $values -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $values $name -}}
{{- else if kindIs "map" $value -}}
{{- $hasOwnKeys := has $name (list "resources" "podDisruptionBudget" "labels") -}}
{{- include "notification-common.applyDefaults" (list $value (ternary dict (index $defaults $name | default dict) $hasOwnKeys)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Labels of every object, besides those that select pods. */}}
{{- define "notification-common.labels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: notification-api
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "notification-common.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Security and placement of a pod. The user has a number and no name in the image. */}}
{{- define "notification-common.podSpec" -}}
# A Service called x would set X_PORT in every pod of the namespace.
enableServiceLinks: false
# The restricted pod security profile.
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
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

{{- define "notification-common.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The AWS SDK's settings without the region. An emulator's key pair is public; a real one is a mounted file. */}}
{{- define "notification-common.awsEnv" -}}
{{- with .Values.aws.endpointUrl }}
- {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
{{- if .Values.aws.emulated }}
- {name: AWS_ACCESS_KEY_ID, value: local}
- {name: AWS_SECRET_ACCESS_KEY, value: local}
- {name: AWS_EC2_METADATA_DISABLED, value: "true"}
{{- else if .Values.aws.credentialsSecret }}
- {name: AWS_SHARED_CREDENTIALS_FILE, value: /var/run/secrets/aws/credentials}
{{- end }}
{{- end }}

{{/* Egress to the cluster's resolver: a pod, or the node itself (node-local DNS). */}}
{{- define "notification-common.egress.dns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{/*
Egress to AWS, Momento and the API server, which have no fixed addresses. Called with the ports besides 443. The
addresses of the instance metadata service are excluded.
*/}}
{{- define "notification-common.egress.https" -}}
- to:
    - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
    - ipBlock: {cidr: "::/0", except: ["fd00:ec2::/32"]}
  ports:
    - {protocol: TCP, port: 443}
    {{- range . }}
    {{- if ne (int .) 443 }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
    {{- end }}
{{- end }}

{{/* Egress to the agent of EKS Pod Identity. */}}
{{- define "notification-common.egress.podIdentity" -}}
- to:
    - ipBlock: {cidr: 169.254.170.23/32}
    - ipBlock: {cidr: "fd00:ec2::23/128"}
  ports: [{protocol: TCP, port: 80}]
{{- end }}

{{/* Egress to the ports of notification-local that aws.endpointUrl (with aws.emulated) and momento.endpoint (http://) name. */}}
{{- define "notification-common.egress.emulators" -}}
{{- $ports := list -}}
{{- if .Values.aws.emulated }}{{ $ports = append $ports (include "notification-common.urlPort" .Values.aws.endpointUrl | int) }}{{ end -}}
{{- if hasPrefix "http://" (.Values.momento.endpoint | default "") }}{{ $ports = append $ports (include "notification-common.urlPort" .Values.momento.endpoint | int) }}{{ end -}}
{{- with $ports | uniq -}}
- to:
    - namespaceSelector: {}
      podSelector: {matchLabels: {app.kubernetes.io/name: notification-local}}
  ports:
    {{- range . }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end }}

{{/* The port of a URL: the one that it names, else the default of its scheme. */}}
{{- define "notification-common.urlPort" -}}
{{- $authority := regexFind "^https?://[^/]+" . -}}
{{- regexFind ":[0-9]+$" $authority | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https://" .)) -}}
{{- end }}

{{/* "true" where a URL has a host, followed by nothing or by a port from 1 to 65535. */}}
{{- define "notification-common.hasValidPort" -}}
{{- $authority := regexFind "^https?://[^/]*" . -}}
{{- $port := include "notification-common.urlPort" . | int -}}
{{- and (regexMatch "^https?://(\\[[0-9A-Fa-f:.]+\\]|[^][:]+)(:[0-9]{1,5})?$" $authority) (ge $port 1) (le $port 65535) -}}
{{- end }}

{{/* JSON array: problems of networkPolicy.egress. */}}
{{- define "notification-common.validate.egress" -}}
{{- $problems := list -}}
{{- range $rule := .Values.networkPolicy.egress -}}
{{- range $each := $rule.ports -}}
{{- if kindIs "string" $each.port -}}
{{- $problems = append $problems (printf "networkPolicy.egress has the port %q: use its number, since not every network plugin resolves the name of a port" $each.port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end }}

{{/*
(list $ "text of a file in rules/"): the groups for a PrometheusRule. Group names end with namespace and release, since
some rulers keep the groups of all releases in one place. Paths of runbooks become links where runbookBaseUrl is set.
*/}}
{{- define "notification-common.ruleGroups" -}}
{{- $root := first . -}}
{{- $runbooks := "runbook: docs/runbooks/" -}}
{{- with $root.Values.prometheusRules.runbookBaseUrl }}{{ $runbooks = printf "runbook_url: %sdocs/runbooks/" . }}{{ end -}}
{{- $group := printf "${1}-%s_%s" $root.Release.Namespace $root.Release.Name -}}
{{- regexReplaceAll "(?m)^(  - name: .+)$" (last . | replace "runbook_url: docs/runbooks/" $runbooks) $group -}}
{{- end }}
