// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build talos_1_14

package main

import (
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

// registerNewer adds what Talos serves since 1.13: an image is pulled, an upgrade installed, each by a call of its own.
func registerNewer(api *grpc.Server, node *Node) {
	if node.isAtLeast("v1.13") {
		machine.RegisterImageServiceServer(api, &images{})
		machine.RegisterLifecycleServiceServer(api, &lifecycle{node: node})
	}
}

type images struct {
	machine.UnimplementedImageServiceServer
}

// Pull gets an image. Nothing is kept: an upgrade gets it again.
func (*images) Pull(
	request *machine.ImageServicePullRequest, stream grpc.ServerStreamingServer[machine.ImageServicePullResponse],
) error {
	if _, err := pull(stream.Context(), request.GetImageRef()); err != nil {
		if errors.Is(err, errNotFound) {
			return status.Errorf(codes.NotFound, "error pulling image: %s", err)
		}

		return err
	}

	return stream.Send(&machine.ImageServicePullResponse{
		Response: &machine.ImageServicePullResponse_Name{Name: request.GetImageRef()},
	})
}

type lifecycle struct {
	machine.UnimplementedLifecycleServiceServer

	node *Node
}

// Upgrade installs, and leaves the node as it runs: whoever asked has to reboot it.
func (l *lifecycle) Upgrade(
	request *machine.LifecycleServiceUpgradeRequest,
	stream grpc.ServerStreamingServer[machine.LifecycleServiceUpgradeResponse],
) error {
	n := l.node
	if !n.installing.TryLock() {
		return status.Error(codes.FailedPrecondition, "another installation/upgrade is already in progress")
	}
	defer n.installing.Unlock()

	wanted, err := pull(stream.Context(), request.GetSource().GetImageName())
	if err != nil {
		return status.Errorf(codes.Internal, "upgrade failed: %s", err)
	}

	send := func(progress *machine.LifecycleServiceInstallProgress) error {
		return stream.Send(&machine.LifecycleServiceUpgradeResponse{Progress: progress})
	}
	message := func(text string) error {
		return send(&machine.LifecycleServiceInstallProgress{
			Response: &machine.LifecycleServiceInstallProgress_Message{Message: text},
		})
	}

	if err = message("STAND-IN: installing " + wanted.version); err != nil {
		return err
	}

	if !n.sleep(installDelay) {
		return status.Error(codes.Unavailable, "the machine is gone")
	}

	code := int32(0)

	if err = n.compatible(wanted); err != nil {
		code = 1

		if err = message("error: " + err.Error()); err != nil {
			return err
		}
	} else {
		n.install(wanted)
	}

	return send(&machine.LifecycleServiceInstallProgress{
		Response: &machine.LifecycleServiceInstallProgress_ExitCode{ExitCode: code},
	})
}
