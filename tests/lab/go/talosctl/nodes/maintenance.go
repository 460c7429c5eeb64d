// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
)

// platform is the mode in which Talos' nocloud images run: the disk image needs no installation.
type platform struct{}

func (platform) String() string        { return "cloud" }
func (platform) RequiresInstall() bool { return false }
func (platform) InContainer() bool     { return false }

// maintenance is the API of a node without configuration.
type maintenance struct {
	machine.UnimplementedMachineServiceServer

	node *Node
}

// Version is refused to whoever cannot show who he is, which nobody can here. From Talos 1.13 on it is told to all.
func (m *maintenance) Version(ctx context.Context, in *emptypb.Empty) (*machine.VersionResponse, error) {
	if m.node.isAtLeast("v1.13") {
		return m.node.Version(ctx, in)
	}

	return nil, status.Error(codes.Unimplemented, "API is not implemented in maintenance mode")
}

// ApplyConfiguration gives the node its first configuration, with which it boots.
func (m *maintenance) ApplyConfiguration(
	ctx context.Context, request *machine.ApplyConfigurationRequest,
) (*machine.ApplyConfigurationResponse, error) {
	switch request.Mode { //nolint:exhaustive
	case machine.ApplyConfigurationRequest_AUTO,
		machine.ApplyConfigurationRequest_REBOOT,
		machine.ApplyConfigurationRequest_TRY:
	default:
		return nil, status.Errorf(codes.Unimplemented,
			"apply configuration --mode='%s' is not supported in maintenance mode", modeName(request.Mode))
	}

	provider, err := configloader.NewFromBytes(request.Data)
	if err == nil {
		err = m.node.knows(provider)
	}

	if err != nil {
		return nil, fmt.Errorf("failed to parse config: %w", err)
	}

	warnings, err := provider.Validate(platform{})
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "configuration validation failed: %s", err)
	}

	n := m.node

	n.mu.Lock()
	defer n.mu.Unlock()

	more, err := provider.RuntimeValidate(ctx, n.resources.state, platform{})
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "runtime configuration validation failed: %s", err)
	}

	answer := &machine.ApplyConfiguration{Warnings: append(warnings, more...)}
	response := &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{answer}}

	if request.DryRun {
		answer.ModeDetails = "Dry run summary:\nNode is running in maintenance mode and does not have a config yet."

		return response, nil
	}

	if err = n.keep(provider); err != nil {
		return nil, err
	}

	n.reboot()

	return response, nil
}

func modeName(mode machine.ApplyConfigurationRequest_Mode) string {
	return strings.ReplaceAll(strings.ToLower(mode.String()), "_", "-")
}
