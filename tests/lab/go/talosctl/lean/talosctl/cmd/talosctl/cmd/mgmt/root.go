// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Package mgmt has the commands that need no node: they make, change and check configurations.
package mgmt

import (
	"github.com/spf13/cobra"

	"github.com/siderolabs/talos/cmd/talosctl/cmd/mgmt/gen"
	"github.com/siderolabs/talos/cmd/talosctl/cmd/mgmt/machineconfig"
)

// Commands are what C(talosctl) takes.
var Commands = []*cobra.Command{gen.Cmd, machineconfig.Cmd}

func addCommand(command *cobra.Command) {
	Commands = append(Commands, command)
}
