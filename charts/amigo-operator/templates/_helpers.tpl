{{/* Names and labels. Call the helpers with the root context, unless their comment names other arguments. */}}

{{- define "amigo-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Leaves room for the longest suffix, "-sandbox", and for the suffixes of the Deployment's pods. */}}
{{- define "amigo-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Prevents name conflicts between the cluster-scoped objects of two releases. */}}
{{- define "amigo-operator.clusterName" -}}
{{- $full := include "amigo-operator.fullname" . -}}
{{- ternary $full (printf "%s-%s" .Release.Namespace $full) (eq .Release.Namespace $full) -}}
{{- end -}}

{{- define "amigo-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "amigo-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "amigo-operator.sandboxSelectorLabels" -}}
app.kubernetes.io/name: {{ include "amigo-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: sandbox
{{- end -}}

{{- define "amigo-operator.testSelectorLabels" -}}
app.kubernetes.io/name: {{ include "amigo-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{/* The labels of every object, without the selector labels. */}}
{{- define "amigo-operator.commonLabels" -}}
{{- with .Values.extraLabels }}
{{- toYaml . }}
{{ end -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: amigo-operator
{{- end -}}

{{- define "amigo-operator.labels" -}}
{{ include "amigo-operator.commonLabels" . }}
{{ include "amigo-operator.selectorLabels" . }}
{{- end -}}

{{- define "amigo-operator.sandboxLabels" -}}
{{ include "amigo-operator.commonLabels" . }}
{{ include "amigo-operator.sandboxSelectorLabels" . }}
{{- end -}}

{{- define "amigo-operator.serviceAccountName" -}}
{{- $default := ternary (include "amigo-operator.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $default .Values.serviceAccount.name -}}
{{- end -}}

{{/* An image reference: (dict "root" $ "image" .Values.image). */}}
{{- define "amigo-operator.image" -}}
{{- with .image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.root.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The URL at which the operator reaches the sandbox. */}}
{{- define "amigo-operator.sandboxUrl" -}}
{{- $service := printf "http://%s-sandbox.%s.svc:8090" (include "amigo-operator.fullname" .) .Release.Namespace -}}
{{- default $service .Values.sandbox.apiUrl -}}
{{- end -}}

{{/* The Secrets of this release's Organizations and of `rbac.secretNames`, as a JSON list. */}}
{{- define "amigo-operator.secretNames" -}}
{{- $names := .Values.rbac.secretNames -}}
{{- range $name, $spec := .Values.organizations -}}
{{- $names = append $names (dig "credentialsSecretRef" "name" $name $spec) -}}
{{- end -}}
{{- if .Values.sandbox.enabled -}}
{{- $names = append $names .Values.sandbox.organizationName -}}
{{- end -}}
{{- $names | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/*
One Organization: (dict "root" $ "name" NAME "spec" SPEC "labels" LABELS).

Helm looks up the kinds of all objects before it creates the first one. So an Organization cannot be part of the release
that installs its CRD. If the CRD is missing, the Organization is a hook, which Helm creates after all other objects. Its
labels and annotations let the next upgrade adopt it as an object of the release. Until then, a pre-delete hook deletes it
during `helm uninstall`.
*/}}
{{- define "amigo-operator.organization" -}}
{{- $crd_is_missing := and .root.Values.crds.install (not (.root.Capabilities.APIVersions.Has "permissions.amigo.ai/v1alpha1")) -}}
{{- $events := ternary (list "post-install,post-upgrade,post-rollback" "pre-delete") (list "") $crd_is_missing -}}
{{- range $event := $events }}
---
apiVersion: permissions.amigo.ai/v1alpha1
kind: Organization
metadata:
  name: {{ $.name }}
  labels: {{- $.labels | nindent 4 }}
  {{- if $event }}
  annotations:
    meta.helm.sh/release-name: {{ $.root.Release.Name }}
    meta.helm.sh/release-namespace: {{ $.root.Release.Namespace }}
    helm.sh/hook: {{ $event }}
    helm.sh/hook-delete-policy: {{ ternary "before-hook-creation,hook-succeeded" "before-hook-creation" (eq $event "pre-delete") }}
  {{- end }}
spec: {{- toYaml $.spec | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The image and security context of a container: (dict "root" $ "image" .Values.image). */}}
{{- define "amigo-operator.container" -}}
image: {{ include "amigo-operator.image" . | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
securityContext: {{- toYaml .root.Values.securityContext | nindent 2 }}
{{- end -}}

{{/* Pod settings of the operator, the sandbox, and the test. */}}
{{- define "amigo-operator.placement" -}}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
