// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// It does with a Helm release what Terraform's provider does, by the same library: on standard input it gets one JSON
// document that says what, and prints the manifest of the release. KUBECONFIG names the cluster.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/release"
)

const timeout = time.Minute

type order struct {
	Action    string         `json:"action"`
	Name      string         `json:"name"`
	Namespace string         `json:"namespace"`
	Chart     string         `json:"chart"`
	Values    map[string]any `json:"values"`
}

func main() {
	var asked order
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		log.Fatalf("not an order: %s", err)
	}

	made, err := carryOut(asked)
	if err != nil {
		log.Fatal(err)
	}

	if made != nil {
		_, _ = io.WriteString(os.Stdout, made.Manifest)
	}
}

func carryOut(asked order) (*release.Release, error) {
	settings := cli.New()
	settings.SetNamespace(asked.Namespace)

	configuration := new(action.Configuration)
	if err := configuration.Init(settings.RESTClientGetter(), asked.Namespace, "secret", log.Printf); err != nil {
		return nil, err
	}

	if asked.Action == "uninstall" {
		client := action.NewUninstall(configuration)
		client.Wait, client.Timeout = true, timeout
		_, err := client.Run(asked.Name)

		return nil, err
	}

	chart, err := loader.Load(asked.Chart)
	if err != nil {
		return nil, err
	}

	switch asked.Action {
	case "install", "template":
		client := action.NewInstall(configuration)
		client.ReleaseName, client.Namespace = asked.Name, asked.Namespace
		client.CreateNamespace = true
		client.Wait, client.Timeout = true, timeout
		client.DryRun = asked.Action == "template"
		client.ClientOnly = client.DryRun

		return client.Run(chart, asked.Values)
	case "upgrade":
		client := action.NewUpgrade(configuration)
		client.Namespace = asked.Namespace
		client.Wait, client.Timeout = true, timeout

		return client.Run(asked.Name, chart, asked.Values)
	default:
		return nil, fmt.Errorf("no such action: %s", asked.Action)
	}
}
