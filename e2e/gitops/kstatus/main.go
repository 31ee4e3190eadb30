// Command kstatus tells what GitOps tools see in objects: one JSON object a line in, one line of JSON out for each.
//
// The health expressions of Flux are read from the file given as argument: a JSON object, one entry of
// `spec.healthCheckExprs` of a Kustomization; a field that Flux does not know is refused. A line that can't be judged is answered
// with `error`; the program ends with 1 when its input or the expressions can't be read.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A stored object is at most 1.5 MB.
const longest = 4 << 20

type seen struct {
	Kstatus string `json:"kstatus"`
	Message string `json:"message"`
	Flux    string `json:"flux"`
	Error   string `json:"error,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("give the file with the health expressions as the only argument")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var check kustomize.CustomHealthCheck
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&check); err != nil {
		return fmt.Errorf("%s: %w", os.Args[1], err)
	}
	flux, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
	if err != nil {
		return fmt.Errorf("%s: %w", os.Args[1], err)
	}
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, longest)
	for in.Scan() {
		if err := out.Encode(look(flux, in.Bytes())); err != nil {
			return err
		}
	}
	return in.Err()
}

func look(flux *cel.StatusEvaluator, line []byte) seen {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(line); err != nil {
		return seen{Error: err.Error()}
	}
	plain, err := status.Compute(object)
	if err != nil {
		return seen{Error: err.Error()}
	}
	answer := seen{Kstatus: plain.Status.String(), Message: plain.Message}
	judged, err := flux.Evaluate(context.Background(), object)
	if err != nil {
		answer.Error = err.Error()
		return answer
	}
	answer.Flux = judged.Status.String()
	return answer
}
