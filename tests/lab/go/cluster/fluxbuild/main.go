// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// It builds folders as Flux does, with Flux's own code, for comparing. On standard input it gets one JSON document for
// each: the root of a repository, a folder in it, the Flux Kustomization, and the variables of its ConfigMaps. For each
// it prints one JSON line: the objects, or why there are none.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/fluxcd/pkg/kustomize"
)

type order struct {
	Root          string         `json:"root"`
	Folder        string         `json:"folder"`
	Kustomization map[string]any `json:"kustomization"`
}

type answer struct {
	Objects []json.RawMessage `json:"objects"`
	Error   string            `json:"error,omitempty"`
}

func main() {
	orders, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)

	for {
		var asked order

		err := orders.Decode(&asked)
		if errors.Is(err, io.EOF) {
			return
		}

		if err != nil {
			log.Fatalf("not an order: %s", err)
		}

		objects, err := build(asked)
		if err != nil {
			err = answers.Encode(answer{Error: err.Error()})
		} else {
			err = answers.Encode(answer{Objects: objects})
		}

		if err != nil {
			log.Fatal(err)
		}
	}
}

func build(asked order) ([]json.RawMessage, error) {
	described := unstructured.Unstructured{Object: asked.Kustomization}
	folder := filepath.Join(asked.Root, asked.Folder)

	if _, err := kustomize.NewGenerator(asked.Root, described).WriteFile(folder); err != nil {
		return nil, err
	}

	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}

	built, err := kustomize.Build(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, err
	}

	objects := []json.RawMessage{}

	for _, each := range built.Resources() {
		substituted, err := kustomize.SubstituteVariables(
			context.Background(), nil, described, each, kustomize.SubstituteWithDryRun(true))
		if err != nil {
			return nil, err
		}

		if substituted != nil {
			each = substituted
		}

		text, err := each.MarshalJSON()
		if err != nil {
			return nil, err
		}

		objects = append(objects, bytes.TrimSpace(text))
	}

	return objects, nil
}
