{{- /*
For a chart that has this one as a dependency, with `workload: None` among its values. Each takes this chart's own
context, which is .Subcharts.eventbus there:

  spec:
    template:
      metadata:
        annotations:
          checksum/eventbus: {{ include "eventbus.configChecksum" .Subcharts.eventbus }}
      spec:
        terminationGracePeriodSeconds: {{ include "eventbus.terminationGracePeriodSeconds" .Subcharts.eventbus }}
        initContainers:
          {{- include "eventbus.sidecar" .Subcharts.eventbus | nindent 10 }}
        volumes:
          {{- include "eventbus.volumes" .Subcharts.eventbus | nindent 10 }}

With `sidecar.native: false` the same stands below `containers`.
*/ -}}
{{- define "eventbus.sidecar" -}}
{{- include "eventbus.check" . -}}
{{- if ne .Values.workload "None" -}}
{{- fail "eventbus.sidecar needs workload: None, or its pods and the chart's own would be two deployments of one configuration" -}}
{{- end -}}
- {{- include "eventbus.container" . | nindent 2 }}
  {{- if .Values.sidecar.native }}
  restartPolicy: Always
  {{- end }}
{{- end -}}
