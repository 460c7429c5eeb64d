// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build talos_1_14

package main

import (
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/siderolabs/talos/pkg/kubeconfig"
	"github.com/siderolabs/talos/pkg/machinery/config"
	part "github.com/siderolabs/talos/pkg/machinery/config/config"
)

// tellsVersion says whether a node without configuration tells its version.
const tellsVersion = true

// generateAdmin writes an administrator's kubeconfig. The CA, the name and the endpoint are documents of their own, or
// stand where they stood before there were such.
func generateAdmin(active config.Provider, out io.Writer) error {
	authority, cluster := active.K8sAPIServerCAConfig(), active.K8sClusterConfig()
	if authority == nil || cluster == nil {
		return status.Error(codes.FailedPrecondition, "the configuration has no CA, name or endpoint of Kubernetes")
	}

	return kubeconfig.GenerateAdmin(struct {
		part.ClusterConfig
		part.K8sAPIServerCAConfig
		part.K8sClusterConfig
	}{active.Cluster(), authority, cluster}, out)
}
