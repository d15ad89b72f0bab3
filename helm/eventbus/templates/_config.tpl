{{- /* The configuration, and what follows from it. */ -}}

{{- /* Of this chart's values it is what it is in the ConfigMap: when it changes, pods are made anew. */ -}}
{{- define "eventbus.configChecksum" -}}
{{- toYaml .Values.config | sha256sum -}}
{{- end -}}

{{- define "eventbus.port" -}}
{{- dig "server" "port" 8686 .Values.config -}}
{{- end -}}

{{- /* Whole seconds of a duration such as 1.5m, upwards. */ -}}
{{- define "eventbus.seconds" -}}
{{- $unit := regexFind "(ms|s|m|h|d)$" . -}}
{{- if not (regexMatch "^[0-9]+([.][0-9]+)?(ms|s|m|h|d)$" .) -}}
{{- fail (printf "config.daemon.drain_timeout: expected a duration with its unit, such as 250ms, 5s or 2h, got %q" .) -}}
{{- end -}}
{{- $factor := get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0) $unit -}}
{{- ceil (mulf (trimSuffix $unit . | float64) $factor) | int -}}
{{- end -}}

{{- define "eventbus.terminationGracePeriodSeconds" -}}
{{- $drain := include "eventbus.seconds" (dig "daemon" "drain_timeout" "25s" .Values.config) -}}
{{- add $drain .Values.terminationGraceExtraSeconds -}}
{{- end -}}

{{- /* What cannot work is refused before it is installed. */ -}}
{{- define "eventbus.check" -}}
{{- if not .Values.existingConfigMap -}}
{{- range $section := list "mongodb" "sinks" "subscriptions" -}}
{{- if not (index $.Values.config $section) -}}
{{- fail (printf "config.%s is missing: config is the daemon's configuration, as docs/configuration.md explains it" $section) -}}
{{- end -}}
{{- end -}}
{{- if eq (dig "server" "host" "127.0.0.1" .Values.config) "127.0.0.1" -}}
{{- fail "config.server.host is 127.0.0.1: probes and Prometheus come from outside of the pod and need 0.0.0.0" -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.rollOnConfigChange .Values.existingConfigMap (dig "daemon" "watch_config" false .Values.config)) -}}
{{- fail "rollOnConfigChange: false needs config.daemon.watch_config: true, or nobody notices a changed config" -}}
{{- end -}}
{{- if and .Values.persistence.enabled (ne .Values.workload "StatefulSet") -}}
{{- fail "persistence.enabled needs workload: StatefulSet, whose pods have a volume each" -}}
{{- end -}}
{{- if eq (dig "state" "type" "mongodb" .Values.config) "sqlite" -}}
{{- if or (gt (int .Values.replicas) 1) .Values.autoscaling.type -}}
{{- fail "state.type sqlite is for one daemon: set replicas: 1 and no autoscaling, or keep the state in MongoDB" -}}
{{- end -}}
{{- if and (ne .Values.workload "None") (not .Values.persistence.enabled) (not .Values.extraVolumeMounts) -}}
{{- fail "state.type sqlite keeps positions in a file: set workload: StatefulSet and persistence.enabled: true, or mount a volume for it" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.type (eq .Values.workload "None") -}}
{{- fail "autoscaling needs a workload of this chart" -}}
{{- end -}}
{{- end -}}
