// Prints what Kubernetes warns of in every ValidatingAdmissionPolicy of a cluster: expressions that do not fit the
// types of the kinds they judge. kube-controller-manager writes the same to their status, but has no part in the test
// control plane. The kubeconfig is that of $KUBECONFIG.
package main

import (
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if err := check(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check() error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	policies, err := client.AdmissionregistrationV1().ValidatingAdmissionPolicies().List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	checker := validating.TypeChecker{
		SchemaResolver: &resolver.ClientDiscoveryResolver{Discovery: client.Discovery()},
		RestMapper:     restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery())),
	}
	for index := range policies.Items {
		policy := &policies.Items[index]
		fmt.Println("checked", policy.Name)
		for _, warning := range checker.Check(policy) {
			fmt.Printf("warning %s %s: %s\n", policy.Name, warning.FieldRef, warning.Warning)
		}
	}
	return nil
}
