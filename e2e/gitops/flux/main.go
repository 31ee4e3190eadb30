// Command flux applies objects as Flux's kustomize-controller does, by Flux's own code.
//
// A request is a line of JSON: `objects`, what lies in Git, and `ignore`, the field of that name of a Kustomization; a field
// that Flux does not know is refused. The answer is a line of JSON: `actions`, what was done with each object, or `error`.
// The cluster is that of $KUBECONFIG. The program ends with 1 when its input or the cluster can't be read.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/jsondiff"
	"github.com/fluxcd/pkg/ssa/normalize"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	controller = "kustomize-controller"
	// A stored object is at most 1.5 MB.
	longest = 16 << 20
)

type request struct {
	Objects []map[string]any         `json:"objects"`
	Ignore  []kustomizev1.IgnoreRule `json:"ignore"`
}

type answer struct {
	Actions map[string]string `json:"actions,omitempty"`
	Error   string            `json:"error,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "flux:", err)
		os.Exit(1)
	}
}

func run() error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	cluster, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	group := kustomizev1.GroupVersion.Group
	manager := ssa.NewResourceManager(cluster, nil, ssa.Owner{Field: controller, Group: group})
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, longest)
	for in.Scan() {
		actions, err := apply(manager, in.Bytes())
		said := answer{Actions: actions}
		if err != nil {
			said = answer{Error: err.Error()}
		}
		if err := out.Encode(said); err != nil {
			return err
		}
	}
	return in.Err()
}

func apply(manager *ssa.ResourceManager, line []byte) (map[string]string, error) {
	var asked request
	strict := json.NewDecoder(bytes.NewReader(line))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&asked); err != nil {
		return nil, err
	}
	objects := make([]*unstructured.Unstructured, 0, len(asked.Objects))
	for _, each := range asked.Objects {
		objects = append(objects, &unstructured.Unstructured{Object: each})
	}
	if err := normalize.UnstructuredList(objects); err != nil {
		return nil, err
	}
	manager.SetOwnerLabels(objects, "models", "flux-system")
	changes, err := manager.ApplyAll(context.Background(), objects, options(asked.Ignore))
	if err != nil {
		return nil, err
	}
	actions := map[string]string{}
	for _, change := range changes.Entries {
		actions[change.Subject] = change.Action.String()
	}
	return actions, nil
}

// options are those that the controller gives its applies.
func options(ignore []kustomizev1.IgnoreRule) ssa.ApplyOptions {
	group := kustomizev1.GroupVersion.Group
	options := ssa.DefaultApplyOptions()
	options.ExclusionSelector = map[string]string{
		group + "/reconcile": kustomizev1.DisabledValue,
		group + "/ssa":       kustomizev1.IgnoreValue,
	}
	options.IfNotPresentSelector = map[string]string{group + "/ssa": kustomizev1.IfNotPresentValue}
	options.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{"kubectl.kubernetes.io/last-applied-configuration"},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: controller, OperationType: metav1.ManagedFieldsOperationUpdate},
		},
		Exclusions: map[string]string{group + "/ssa": kustomizev1.MergeValue},
	}
	for _, rule := range ignore {
		made := jsondiff.IgnoreRule{Paths: rule.Paths}
		if target := rule.Target; target != nil {
			made.Selector = &jsondiff.Selector{
				Group:              target.Group,
				Version:            target.Version,
				Kind:               target.Kind,
				Name:               target.Name,
				Namespace:          target.Namespace,
				AnnotationSelector: target.AnnotationSelector,
				LabelSelector:      target.LabelSelector,
			}
		}
		options.DriftIgnoreRules = append(options.DriftIgnoreRules, made)
	}
	return options
}
