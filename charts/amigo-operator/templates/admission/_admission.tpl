{{/*
Admission policies in CEL. The templates insert values as JSON, which is valid CEL.
*/}}

{{/* Whether a rule is enabled: (list $ .Values.admission.RULE). */}}
{{- define "amigo-operator.admission.has" -}}
{{- $root := index . 0 -}}
{{- if and $root.Values.admission.enabled (index . 1).enabled }}yes{{ end -}}
{{- end -}}

{{- define "amigo-operator.admission.name" -}}
{{- $root := index . 0 -}}
{{ include "amigo-operator.clusterName" $root }}-{{ index . 1 }}
{{- end -}}

{{/* The operator's user name. */}}
{{- define "amigo-operator.admission.operator" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "amigo-operator.serviceAccountName" . }}
{{- end -}}

{{/* Whether a policy sets a missing requestedBy. */}}
{{- define "amigo-operator.admission.fills" -}}
{{- $rule := .Values.admission.requestedBy -}}
{{- if and .Values.admission.enabled $rule.enabled $rule.fill (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy") }}yes{{ end -}}
{{- end -}}

{{/* The head of a policy: (list $ KIND NAME). */}}
{{- define "amigo-operator.admission.head" -}}
{{- $root := index . 0 -}}
apiVersion: admissionregistration.k8s.io/v1
kind: {{ index . 1 }}
metadata:
  name: {{ include "amigo-operator.admission.name" (list $root (index . 2)) }}
  labels: {{- include "amigo-operator.labels" $root | nindent 4 }}
{{- end -}}

{{/* The requests that a policy matches: (dict "resources" LIST "operations" LIST). */}}
{{- define "amigo-operator.admission.match" -}}
resourceRules:
  - apiGroups: [permissions.amigo.ai]
    apiVersions: [v1alpha1]
    resources: {{ .resources | toJson }}
    operations: {{ .operations | toJson }}
{{- end -}}

{{/* The namespaces in which the rules apply. */}}
{{- define "amigo-operator.admission.namespaces" -}}
{{- with .Values.admission.namespaceSelector }}
matchResources:
  namespaceSelector: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{/* The binding of a validating policy: (list $ NAME ACTION). */}}
{{- define "amigo-operator.admission.binding" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
---
{{ include "amigo-operator.admission.head" (list $root "ValidatingAdmissionPolicyBinding" $name) }}
spec:
  policyName: {{ include "amigo-operator.admission.name" (list $root $name) }}
  validationActions: [{{ index . 2 }}]
  {{- include "amigo-operator.admission.namespaces" $root | nindent 2 }}
{{- end -}}

{{/* An ISO 8601 duration in seconds. Leading zeros are left out, because Sprig's int reads them as octal. */}}
{{- define "amigo-operator.seconds" -}}
{{- $total := 0 -}}
{{- range $unit, $seconds := dict "D" 86400 "H" 3600 "M" 60 "S" 1 -}}
{{- $amount := regexFind (printf "[1-9][0-9]*%s" $unit) $ | trimSuffix $unit | int -}}
{{- $total = add $total (mul $amount $seconds) -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{/* CEL: the ISO 8601 duration in the variable `text`, in seconds. */}}
{{- define "amigo-operator.admission.seconds" -}}
{{- $parts := list -}}
{{- range $unit, $seconds := dict "D" 86400 "H" 3600 "M" 60 "S" 1 -}}
{{- $parts = append $parts (printf "(text.find('[0-9]+%s') == '' ? 0 : int(text.find('[0-9]+%s').replace('%s', '')) * %d)" $unit $unit $unit $seconds) -}}
{{- end -}}
{{- join " + " $parts -}}
{{- end -}}
