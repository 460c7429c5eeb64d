// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !talos_1_14

package main

import (
	"io"

	"github.com/siderolabs/talos/pkg/kubeconfig"
	"github.com/siderolabs/talos/pkg/machinery/config"
)

// tellsVersion says whether a node without configuration tells its version.
const tellsVersion = false

// generateAdmin writes an administrator's kubeconfig.
func generateAdmin(active config.Provider, out io.Writer) error {
	return kubeconfig.GenerateAdmin(active.Cluster(), out)
}
