{{- /* The container and what belongs to it, for the chart's own pods and for those of others. */ -}}

{{- define "eventbus.container" -}}
name: eventbus
image: {{ include "eventbus.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, -c, /etc/eventbus/eventbus.yaml]
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or .Values.existingSecret .Values.envFrom }}
envFrom:
  {{- with .Values.existingSecret }}
  - secretRef:
      name: {{ . }}
  {{- end }}
  {{- with .Values.envFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
ports:
  - name: http-eventbus
    containerPort: {{ include "eventbus.port" . }}
startupProbe:
  httpGet: {path: /livez, port: http-eventbus}
  {{- toYaml .Values.probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: http-eventbus}
  {{- toYaml .Values.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: http-eventbus}
  {{- toYaml .Values.probes.readiness | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - name: eventbus-config
    mountPath: /etc/eventbus
    readOnly: true
  - name: eventbus-data
    mountPath: /var/lib/eventbus
  {{- if .Values.secretFiles }}
  - name: eventbus-secrets
    mountPath: /run/secrets/eventbus
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "eventbus.volumes" -}}
- name: eventbus-config
  configMap:
    name: {{ include "eventbus.configMapName" . }}
{{- if not .Values.persistence.enabled }}
- name: eventbus-data
  emptyDir: {}
{{- end }}
{{- with .Values.secretFiles }}
- name: eventbus-secrets
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "eventbus.pod" -}}
metadata:
  {{- if or .Values.rollOnConfigChange .Values.podAnnotations }}
  annotations:
    {{- if .Values.rollOnConfigChange }}
    checksum/config: {{ include "eventbus.configChecksum" . }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  labels:
    {{- include "eventbus.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "eventbus.serviceAccountName" . }}
  automountServiceAccountToken: false
  # A service called eventbus would set EVENTBUS_PORT and the like, which the configuration may mean otherwise.
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ include "eventbus.terminationGracePeriodSeconds" . }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpread }}
  {{- if .enabled }}
  topologySpreadConstraints:
    - topologyKey: {{ .topologyKey }}
      maxSkew: {{ .maxSkew }}
      whenUnsatisfiable: {{ .whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "eventbus.selectorLabels" $ | nindent 10 }}
  {{- end }}
  {{- end }}
  containers:
    - {{- include "eventbus.container" . | nindent 6 }}
  volumes:
    {{- include "eventbus.volumes" . | nindent 4 }}
{{- end -}}
