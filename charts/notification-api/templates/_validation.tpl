{{/*
Every template begins with this: it restores the defaults of values that are null (defaults.json is written by
`make generate` from values.yaml) and refuses values that cannot be used, whichever template Helm renders first.
*/}}
{{- define "notification-api.prepare" -}}
{{- include "notification-common.applyDefaults" (list .Values (.Files.Get "defaults.json" | fromJson)) -}}
{{- include "notification-api.validate" . -}}
{{- end }}

{{/*
Reports every mistake that the schema cannot describe, all at once and each with its correction.
*/}}
{{- define "notification-api.validate" -}}
{{- $problems := list -}}
{{- range list "names" "resources" "ingress" "shutdown" "addresses" "settings" -}}
{{- $problems = concat $problems (include (printf "notification-api.validate.%s" .) $ | fromJsonArray) -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\nThe values of this stage cannot be used:\n  * %s\n" (join "\n  * " $problems)) -}}
{{- end -}}
{{- end }}

{{/* JSON array: problems of names. */}}
{{- define "notification-api.validate.names" -}}
{{- $problems := list -}}
{{- $pattern := "^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$" -}}
{{- if not .Values.stageName -}}
{{- $problems = append $problems "stageName is not set: give the stage a name, such as --set stageName=dev" -}}
{{- end -}}
{{- range $name := list "stageName" "ssmStageName" "serviceName" -}}
{{- $set := index $.Values $name -}}
{{- if and $set (contains "://" $set) -}}
{{- $problems = append $problems (printf "%s is the URL %q; it must be a name, such as dev" $name $set) -}}
{{- else if and $set (not (regexMatch $pattern $set)) -}}
{{- $problems = append $problems (printf "%s %q may contain letters, digits, - and _ only, and must begin and end with a letter or digit" $name $set) -}}
{{- end -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" .Release.Name) -}}
{{- $problems = append $problems (printf "the release's name %q must begin with a letter and contain lower-case letters, digits and - only, since Services are named after it; stageName may differ" .Release.Name) -}}
{{- end -}}
{{- if not .Values.serviceName -}}
{{- $problems = append $problems "serviceName is empty: leave it out to use notification-api" -}}
{{- end -}}
{{- $queue := printf "%s-%s-tasks" .Values.serviceName .Values.stageName -}}
{{- if gt (len .Values.stageName) 63 -}}
{{- $problems = append $problems (printf "stageName has %d characters, too long for the label notification-api.io/stage (63 at most)" (len .Values.stageName)) -}}
{{- end -}}
{{- if and (not .Values.queue.url) (gt (len $queue) 80) -}}
{{- $problems = append $problems (printf "the task queue's name %q has %d characters, but SQS permits 80: shorten stageName or serviceName" $queue (len $queue)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end }}

{{/* JSON array: existing resources must be named completely, or left to the operator. */}}
{{- define "notification-api.validate.resources" -}}
{{- $values := .Values -}}
{{- $problems := list -}}
{{- $resources := list
  (list "queue" (list "url" "deadLetterUrl"))
  (list "userPool" (list "id" "clientId"))
  (list "momento" (list "cacheName")) -}}
{{- range $resource := $resources -}}
{{- $name := first $resource -}}
{{- $set := list -}}
{{- $missing := list -}}
{{- range $key := last $resource -}}
{{- if index $values $name $key }}{{ $set = append $set (printf "%s.%s" $name $key) }}{{ else }}{{ $missing = append $missing (printf "%s.%s" $name $key) }}{{ end -}}
{{- end -}}
{{- $create := index $values $name "create" -}}
{{- $operator := $.Capabilities.APIVersions.Has "notification-api.io/v1alpha1/Stage" -}}
{{- if and $create $set -}}
{{- $problems = append $problems (printf "%s.create requires a new resource, but %s is set: set %s.create=false, or leave %s out" $name (join " and " $set) $name (join " and " $set)) -}}
{{- else if and $operator (or (not $set) (and (eq $name "userPool") $values.userPool.id)) -}}
{{- else if and $operator $missing -}}
{{- $problems = append $problems (printf "%s is set without %s: set both, or neither and the operator creates them" (join " and " $set) (join " and " $missing)) -}}
{{- else if $create -}}
{{- $problems = append $problems (printf "%s.create needs the operator of notification-api, which this cluster does not have: set %s instead, or install charts/notification-operator first" $name (join " and " $missing)) -}}
{{- else if $missing -}}
{{- $problems = append $problems (printf "%s %s not set, and this cluster has no operator that would create them: install charts/notification-operator first, or set them (charts/notification-local prints values for tests)" (join " and " $missing) (ternary "is" "are" (eq (len $missing) 1))) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "url" "deadLetterUrl" -}}
{{- $url := index $values.queue $key -}}
{{- if and $url (not (regexMatch "^https?://[^/]+/.+" $url)) -}}
{{- $problems = append $problems (printf "queue.%s %q is not the URL of a queue: use what `aws sqs get-queue-url` prints, https://sqs.<region>.amazonaws.com/<account>/<name>" $key $url) -}}
{{- end -}}
{{- end -}}
{{- if and $values.queue.url (eq $values.queue.url $values.queue.deadLetterUrl) -}}
{{- $problems = append $problems "queue.url and queue.deadLetterUrl are the same queue: dead letters would be processed again" -}}
{{- end -}}
{{- if and $values.userPool.id (not (regexMatch "^[a-z0-9-]+_[A-Za-z0-9]+$" $values.userPool.id)) -}}
{{- $problems = append $problems (printf "userPool.id %q is not the id of a user pool: use the id, such as eu-central-1_AbCdEfGhI, not its name, ARN or URL" $values.userPool.id) -}}
{{- end -}}
{{- if and $values.userPool.id $values.userPool.deletionProtection -}}
{{- $problems = append $problems "userPool.deletionProtection is set together with userPool.id, but an existing pool is never changed: protect it yourself and leave userPool.deletionProtection out" -}}
{{- end -}}
{{- if contains "://" $values.userPool.clientId -}}
{{- $problems = append $problems (printf "userPool.clientId is the URL %q; it must be the id of an app client" $values.userPool.clientId) -}}
{{- end -}}
{{- if contains "://" $values.momento.cacheName -}}
{{- $problems = append $problems (printf "momento.cacheName is the URL %q; it must be the name of a cache" $values.momento.cacheName) -}}
{{- end -}}
{{- if and $values.aws.emulated (not $values.aws.endpointUrl) -}}
{{- $problems = append $problems "aws.emulated is set without aws.endpointUrl: set the emulator's URL" -}}
{{- end -}}
{{- if and $values.aws.emulated (contains "amazonaws.com" $values.aws.endpointUrl) -}}
{{- $problems = append $problems "aws.emulated is set, but aws.endpointUrl is AWS itself, which would refuse the emulator's key pair" -}}
{{- end -}}
{{- if and $values.aws.emulated $values.aws.credentialsSecret -}}
{{- $problems = append $problems "aws.emulated and aws.credentialsSecret are both set: an emulator accepts its own key pair only" -}}
{{- end -}}
{{- if and $values.aws.emulated (eq $values.stageName "prod") -}}
{{- $problems = append $problems "the stage prod cannot run on emulators (aws.emulated), which lose their data: use another stageName" -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end }}

{{/* JSON array: problems of Ingress, HTTPRoute, origins, service accounts, pod labels and disruption budgets. */}}
{{- define "notification-api.validate.ingress" -}}
{{- $values := .Values -}}
{{- $problems := list -}}
{{- range $name := list "ingress" "httpRoute" -}}
{{- $host := index $values $name "host" -}}
{{- if and (index $values $name "enabled") (not $host) -}}
{{- $problems = append $problems (printf "%s.host is not set: set the host name of both services, such as api.example.com" $name) -}}
{{- else if and $host (not (regexMatch "^(\\*\\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$" $host)) -}}
{{- $problems = append $problems (printf "%s.host %q is not a host name: leave out scheme, port and path, such as api.example.com" $name $host) -}}
{{- end -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not (.Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1/HTTPRoute")) -}}
{{- $problems = append $problems "httpRoute.enabled needs the Gateway API, which this cluster does not have: install its definitions first, or use ingress (without a cluster: helm template --api-versions gateway.networking.k8s.io/v1/HTTPRoute)" -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- $problems = append $problems "httpRoute.parentRefs is empty: name the Gateway, such as [{name: gateway, namespace: gateways}]" -}}
{{- end -}}
{{- range $origin := $values.allowedOrigins -}}
{{- if not (regexMatch "^https?://(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*)(:[1-9][0-9]{0,4})?$" $origin) -}}
{{- $problems = append $problems (printf "allowedOrigins has %q, which is not an origin: use scheme and host only, without wildcards and path, such as https://app.example.com" $origin) -}}
{{- else if regexMatch "^(http://.*:80|https://.*:443)$" $origin -}}
{{- $problems = append $problems (printf "allowedOrigins has %q, which no browser sends: leave the default port out, %s" $origin (regexReplaceAll ":[0-9]+$" $origin "")) -}}
{{- else if ne $origin (lower $origin) -}}
{{- $problems = append $problems (printf "allowedOrigins has %q, which no browser sends: use lower-case letters only, %s" $origin (lower $origin)) -}}
{{- end -}}
{{- end -}}
{{- $accounts := dict -}}
{{- range $component := list "token" "ingest" "processor" -}}
{{- $account := (index $values $component).serviceAccount -}}
{{- if $account.create -}}
{{- $name := include "notification-api.serviceAccountName" (list $ $component) -}}
{{- with get $accounts $name -}}
{{- $problems = append $problems (printf "%s.serviceAccount and %s.serviceAccount would both create %q: leave their names out, or set create=false in one of them" . $component $name) -}}
{{- end -}}
{{- $_ := set $accounts $name $component -}}
{{- end -}}
{{- if and (not $account.create) (not $account.name) -}}
{{- $problems = append $problems (printf "%s.serviceAccount.create is false: set %s.serviceAccount.name to an existing one" $component $component) -}}
{{- end -}}
{{- if and (not $account.create) $account.annotations -}}
{{- $problems = append $problems (printf "%s.serviceAccount.annotations are for an account that the chart creates, but create is false: annotate %s yourself" $component (default "it" $account.name)) -}}
{{- end -}}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "notification-api.io/stage" -}}
{{- if hasKey (index $values $component).podLabels $key -}}
{{- $problems = append $problems (printf "%s.podLabels has %s, which the chart sets to select pods: leave it out" $component $key) -}}
{{- end -}}
{{- end -}}
{{- if hasKey (index $values $component).podAnnotations "checksum/settings" -}}
{{- $problems = append $problems (printf "%s.podAnnotations has checksum/settings, which the chart sets to restart pods when a setting changes: leave it out" $component) -}}
{{- end -}}
{{- if gt (len (default dict (index $values $component).podDisruptionBudget)) 1 -}}
{{- $problems = append $problems (printf "%s.podDisruptionBudget has minAvailable and maxUnavailable, but Kubernetes accepts only one of them: set the other to null" $component) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end }}

{{/* JSON array: a processor's grace must be longer than its long poll (20 s by default) and the 5 s that cancelled tasks get. */}}
{{- define "notification-api.validate.shutdown" -}}
{{- $problems := list -}}
{{- $poll := int (index .Values.processor.settings "RECEIVE_WAIT_SECONDS" | default 20) -}}
{{- if le (int .Values.shutdown.processorGraceSeconds) (add $poll 5) -}}
{{- $problems = append $problems (printf "shutdown.processorGraceSeconds must be above %d: a stop waits for the long poll of %d s, and cancelled tasks get 5 s" (add $poll 5) $poll) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end }}

{{/* JSON array: problems of URLs, host names and the image. */}}
{{- define "notification-api.validate.addresses" -}}
{{- $values := .Values -}}
{{- $problems := list -}}
{{- $url := "^https?://[^/?#@ ]+(/[^?# ]*)?$" -}}
{{- range $name, $set := dict "tracing.otlpEndpoint" $values.tracing.otlpEndpoint "aws.endpointUrl" $values.aws.endpointUrl "momento.webEndpoint" $values.momento.webEndpoint -}}
{{- if and $set (not (regexMatch $url $set)) -}}
{{- $problems = append $problems (printf "%s %q is not a URL: it must begin with http:// or https://, such as http://otel-collector.monitoring:4317" $name $set) -}}
{{- else if and $set (ne (include "notification-common.hasValidPort" $set) "true") -}}
{{- $problems = append $problems (printf "%s %q needs a host and, if it names a port, one from 1 to 65535, such as http://otel-collector.monitoring:4317" $name $set) -}}
{{- end -}}
{{- end -}}
{{- $momento := $values.momento.endpoint -}}
{{- if hasPrefix "https://" $momento -}}
{{- $problems = append $problems (printf "momento.endpoint %q is a URL: use the bare host name, %s (http://host:port is for an emulator)" $momento (trimPrefix "https://" $momento)) -}}
{{- else if and $momento (not (regexMatch "^([A-Za-z0-9.-]+|http://[^/?#@: ]+:[0-9]+)$" $momento)) -}}
{{- $problems = append $problems (printf "momento.endpoint %q is neither a bare host name, such as cell-1-us-east-1-1.prod.a.momentohq.com, nor http://host:port (for an emulator)" $momento) -}}
{{- else if and (hasPrefix "http://" $momento) (ne (include "notification-common.hasValidPort" $momento) "true") -}}
{{- $problems = append $problems (printf "momento.endpoint %q has a port that is not from 1 to 65535" $momento) -}}
{{- end -}}
{{- $problems = concat $problems (include "notification-common.validate.egress" . | fromJsonArray) -}}
{{- $image := $values.image.repository -}}
{{- if contains "://" $image -}}
{{- $problems = append $problems (printf "image.repository %q is a URL: use the name of the image, %s" $image (regexReplaceAll "^.*://" $image "")) -}}
{{- else if regexMatch "[:@][^/]*$" $image -}}
{{- $problems = append $problems (printf "image.repository %q has a tag or digest: set image.tag or image.digest instead" $image) -}}
{{- end -}}
{{- if and $values.image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" $values.image.digest)) -}}
{{- $problems = append $problems (printf "image.digest %q is not a digest: it must be sha256: and 64 hexadecimal digits, as your registry shows it" $values.image.digest) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end }}

{{/* JSON array: problems of the services' settings. The schema checks their names. */}}
{{- define "notification-api.validate.settings" -}}
{{- $problems := list -}}
{{- $bounds := .Files.Get "setting-bounds.yaml" | fromYaml -}}
{{- range $component := list "token" "ingest" "processor" -}}
{{- range $name, $set := (index $.Values $component).settings -}}
{{- $value := include "notification-api.envValue" $set -}}
{{- with index $bounds $name -}}
{{- $kind := ternary "a whole number" "a number" (hasKey . "whole") -}}
{{- $wanted := printf "%s%s%s" $kind (ternary (printf " above %v" .above) (printf " of at least %s" (include "notification-api.envValue" (default 0 .min))) (hasKey . "above")) (ternary (printf ", at most %s" (include "notification-api.envValue" .max)) "" (hasKey . "max")) -}}
{{- $number := float64 $value -}}
{{- if or (not (regexMatch (ternary "^-?[0-9]+$" "^-?[0-9]+([.][0-9]+)?$" (hasKey . "whole")) $value)) (and (hasKey . "min") (lt $number (float64 .min))) (and (hasKey . "above") (le $number (float64 .above))) (and (hasKey . "max") (gt $number (float64 .max))) -}}
{{- $problems = append $problems (printf "%s.settings.%s is %q: it must be %s" $component $name $value $wanted) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with (index $.Values $component).settings.CORS_ALLOWED_HEADERS -}}
{{- if not (regexMatch "^ *[A-Za-z0-9._-]{1,128} *(, *[A-Za-z0-9._-]{1,128} *)*$" (toString .)) -}}
{{- $problems = append $problems (printf "%s.settings.CORS_ALLOWED_HEADERS is %q: it must be names of HTTP headers, separated by commas, such as x-tenant" $component (toString .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $component := list "token" "ingest" -}}
{{- $values := index $.Values $component -}}
{{- if and (kindIs "invalid" $values.replicas) (not $values.maxReplicas) -}}
{{- $problems = append $problems (printf "%s.replicas is null: leave it out to use the default, or set %s.maxReplicas to the maximum of your HorizontalPodAutoscaler" $component $component) -}}
{{- end -}}
{{- end -}}
{{- range $type := .Values.taskTypes -}}
{{- if not (regexMatch "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" $type) -}}
{{- $problems = append $problems (printf "taskTypes has %q, which is not the name of a task type: use 1 to 64 letters, digits, dots, hyphens and underscores, starting with a letter or a digit, such as report" $type) -}}
{{- end -}}
{{- end -}}
{{- if gt (len .Values.taskTypes) 50 -}}
{{- $problems = append $problems (printf "taskTypes has %d names: at most 50 are permitted" (len .Values.taskTypes)) -}}
{{- end -}}
{{- $processor := .Values.processor.settings -}}
{{- with $processor.TASK_HANDLER -}}
{{- if not (regexMatch "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$" (toString .)) -}}
{{- $problems = append $problems (printf "processor.settings.TASK_HANDLER is %q: it must be module:function, such as reports:handle" (toString .)) -}}
{{- end -}}
{{- end -}}
{{- with $processor.NOTIFICATION_FORMAT -}}
{{- if not (has (toString .) (list "json" "text")) -}}
{{- $problems = append $problems (printf "processor.settings.NOTIFICATION_FORMAT is %q: it must be json or text" (toString .)) -}}
{{- end -}}
{{- end -}}
{{- if gt (int .Values.scaling.minReplicas) (int .Values.scaling.maxReplicas) -}}
{{- $problems = append $problems (printf "scaling.minReplicas is %d, above scaling.maxReplicas (%d)" (int .Values.scaling.minReplicas) (int .Values.scaling.maxReplicas)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end }}
