// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !talos_1_14

package main

import (
	"io"

	"google.golang.org/grpc"

	"github.com/siderolabs/talos/pkg/kubeconfig"
	"github.com/siderolabs/talos/pkg/machinery/config"
)

// isAtLeast is false: this program serves the oldest Talos alone.
func (n *Node) isAtLeast(string) bool { return false }

func atLeast(string, string) bool { return false }

// knows says nothing: what the oldest Talos does not know, its own code has refused.
func (n *Node) knows(config.Provider) error { return nil }

// registerNewer adds what newer Talos serves: nothing.
func registerNewer(*grpc.Server, *Node) {}

// publishKubernetes says nothing: upgrade-k8s is served by the program of the newer Talos alone.
func (n *Node) publishKubernetes() {}

// kubernetesImages are those whose version is Kubernetes'.
func kubernetesImages(running config.Provider) []string {
	images := []string{running.Machine().Kubelet().Image()}
	if running.Machine().Type().IsControlPlane() {
		images = append(images, running.Cluster().APIServer().Image())
	}

	return images
}

// generateAdmin writes an administrator's kubeconfig.
func generateAdmin(active config.Provider, out io.Writer) error {
	return kubeconfig.GenerateAdmin(active.Cluster(), out)
}
