// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// It fetches and builds folders as Flux does, with Flux's own code, for comparing. On standard input it gets one JSON
// document for each: the root of a repository, what its GitRepository ignores, a folder in it, and the Flux
// Kustomization. For each it prints one JSON line: the files of the artifact, and the objects, or why there are none.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/artifact/storage"
	"github.com/fluxcd/pkg/kustomize"
	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/tar"
)

type order struct {
	Root          string         `json:"root"`
	Ignore        string         `json:"ignore"`
	Folder        string         `json:"folder"`
	Kustomization map[string]any `json:"kustomization"`
}

type answer struct {
	Files   []string          `json:"files"`
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

		root, files, err := fetch(asked)
		if err != nil {
			log.Fatalf("no artifact: %s", err)
		}

		told := answer{Files: files}

		if told.Objects, err = build(root, asked); err != nil {
			told.Error = err.Error()
		}

		if err := answers.Encode(told); err != nil {
			log.Fatal(err)
		}
	}
}

// fetch packs a repository as source-controller does, and unpacks it as kustomize-controller does, into a new folder.
func fetch(asked order) (string, []string, error) {
	scratch, err := os.MkdirTemp("", "artifact")
	if err != nil {
		return "", nil, err
	}

	domain := strings.Split(asked.Root, string(filepath.Separator))

	patterns, err := sourceignore.LoadIgnorePatterns(asked.Root, domain)
	if err != nil {
		return "", nil, err
	}

	patterns = append(patterns, sourceignore.ReadPatterns(strings.NewReader(asked.Ignore), domain)...)
	artifact := meta.Artifact{Path: "artifact.tar.gz"}
	store := storage.Storage{BasePath: scratch}

	if err := store.Archive(&artifact, asked.Root, storage.SourceIgnoreFilter(patterns, domain)); err != nil {
		return "", nil, err
	}

	packed, err := os.Open(store.LocalPath(artifact))
	if err != nil {
		return "", nil, err
	}
	defer packed.Close()

	root := filepath.Join(scratch, "tree")
	if err := tar.Untar(packed, root); err != nil {
		return "", nil, err
	}

	files := []string{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, strings.TrimPrefix(path, root+"/"))
		}

		return err
	})

	return root, files, err
}

func build(root string, asked order) ([]json.RawMessage, error) {
	described := unstructured.Unstructured{Object: asked.Kustomization}
	folder := filepath.Join(root, asked.Folder)

	if _, err := kustomize.NewGenerator(root, described).WriteFile(folder); err != nil {
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
