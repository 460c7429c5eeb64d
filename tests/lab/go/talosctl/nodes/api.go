// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configdiff"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
)

func (n *Node) metadata() *common.Metadata {
	return &common.Metadata{Hostname: n.address}
}

// controlPlaneOnly refuses what workers cannot do.
func (n *Node) controlPlaneOnly(what string) error {
	if !n.active().Machine().Type().IsControlPlane() {
		return status.Errorf(codes.Unimplemented, "%s is only available on control plane nodes", what)
	}

	return nil
}

// Version tells which Talos runs.
func (n *Node) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	return &machine.VersionResponse{Messages: []*machine.Version{{
		Metadata: n.metadata(),
		Version: &machine.VersionInfo{
			Tag:       n.version,
			Sha:       "STAND-IN",
			GoVersion: goruntime.Version(),
			Os:        "linux",
			Arch:      "amd64",
		},
		Platform: &machine.PlatformInfo{Name: "nocloud", Mode: "cloud"},
		Features: &machine.FeaturesInfo{Rbac: true},
	}}}, nil
}

// ApplyConfiguration changes the configuration: now, at the next boot, or both.
func (n *Node) ApplyConfiguration(
	ctx context.Context, request *machine.ApplyConfigurationRequest,
) (*machine.ApplyConfigurationResponse, error) {
	provider, warnings, err := n.validated(ctx, request.Data)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	n.mu.Lock()
	defer n.mu.Unlock()

	mode, details, err := n.decide(request.Mode, provider)
	if err != nil {
		return nil, err
	}

	answer := &machine.ApplyConfiguration{
		Metadata:    n.metadata(),
		Mode:        mode,
		ModeDetails: details,
		Warnings:    warnings,
	}
	response := &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{answer}}

	if request.DryRun {
		difference, err := configdiff.DiffConfigs(n.running, provider)
		if err != nil {
			return nil, err
		}

		if difference == "" {
			difference = "No changes."
		}

		answer.ModeDetails = fmt.Sprintf(
			"Dry run summary:\n%s (skipped in dry-run).\nConfig diff:\n\n%s", details, difference)

		return response, nil
	}

	if mode != machine.ApplyConfigurationRequest_TRY {
		if err = n.keep(provider); err != nil {
			return nil, err
		}
	}

	switch mode { //nolint:exhaustive
	case machine.ApplyConfigurationRequest_NO_REBOOT, machine.ApplyConfigurationRequest_TRY:
		n.running = provider
	case machine.ApplyConfigurationRequest_REBOOT:
		defer n.reboot()
	}

	n.publish()

	return response, nil
}

func (n *Node) validated(ctx context.Context, data []byte) (config.Provider, []string, error) {
	provider, err := configloader.NewFromBytes(data)
	if err == nil {
		err = n.knows(provider)
	}

	if err != nil {
		return nil, nil, err
	}

	if provider.RawV1Alpha1() == nil {
		return nil, nil, errors.New("the applied machine configuration doesn't contain v1alpha1 config, " +
			"did you mean to patch the machine config instead?")
	}

	warnings, err := provider.Validate(platform{})
	if err != nil {
		return nil, nil, err
	}

	n.mu.Lock()
	defer n.mu.Unlock()

	more, err := provider.RuntimeValidate(ctx, n.resources.state, platform{})

	return provider, append(warnings, more...), err
}

// decide says how a change is applied, and refuses without a reboot what needs one.
func (n *Node) decide(
	wanted machine.ApplyConfigurationRequest_Mode, provider config.Provider,
) (machine.ApplyConfigurationRequest_Mode, string, error) {
	const (
		withReboot    = "Applied configuration with a reboot"
		withoutReboot = "Applied configuration without a reboot"
	)

	immediate := n.immediate(provider)

	switch wanted {
	case machine.ApplyConfigurationRequest_STAGED:
		return wanted, "Staged configuration to be applied after the next reboot", nil
	case machine.ApplyConfigurationRequest_REBOOT:
		if atLeast(n.version, "v1.14") {
			return wanted, "", status.Error(codes.Unimplemented, "the REBOOT mode is gone (STAND-IN)")
		}

		return wanted, withReboot, nil
	case machine.ApplyConfigurationRequest_AUTO:
		if immediate != nil {
			return machine.ApplyConfigurationRequest_REBOOT, withReboot + ": " + immediate.Error(), nil
		}

		return machine.ApplyConfigurationRequest_NO_REBOOT, withoutReboot, nil
	case machine.ApplyConfigurationRequest_NO_REBOOT, machine.ApplyConfigurationRequest_TRY:
		if immediate != nil {
			return wanted, "", status.Error(codes.InvalidArgument, immediate.Error())
		}

		return wanted, withoutReboot, nil
	default:
		return wanted, "", fmt.Errorf("incorrect mode '%s' specified for the apply config call", wanted)
	}
}

// Kubeconfig makes an administrator's certificate with the cluster's CA, as Talos does.
func (n *Node) Kubeconfig(_ *emptypb.Empty, stream grpc.ServerStreamingServer[common.Data]) error {
	if err := n.controlPlaneOnly("kubeconfig"); err != nil {
		return err
	}

	var text, packed bytes.Buffer

	if err := generateAdmin(n.active(), &text); err != nil {
		return err
	}

	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	header := tar.Header{Typeflag: tar.TypeReg, Name: "kubeconfig", Size: int64(text.Len()), Mode: 0o600, ModTime: time.Now()}

	if err := archive.WriteHeader(&header); err != nil {
		return err
	}

	if _, err := text.WriteTo(archive); err != nil {
		return err
	}

	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return err
	}

	return stream.Send(&common.Data{Metadata: n.metadata(), Bytes: packed.Bytes()})
}

// ServiceList tells the services that such a node has.
func (n *Node) ServiceList(context.Context, *emptypb.Empty) (*machine.ServiceListResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	names := []string{"apid", "auditd", "containerd", "cri", "dashboard", "kubelet", "machined", "syslogd", "udevd"}
	if n.running.Machine().Type().IsControlPlane() {
		names = append(names, "etcd", "trustd")
	}

	services := make([]*machine.ServiceInfo, 0, len(names))

	for _, name := range names {
		state := "Running"
		if name == "etcd" && len(n.members) == 0 {
			state = "Preparing"
		}

		healthy := state == "Running"
		services = append(services, &machine.ServiceInfo{
			Id:    name,
			State: state,
			Events: &machine.ServiceEvents{
				Events: []*machine.ServiceEvent{{Msg: "STAND-IN", State: state, Ts: timestamppb.Now()}},
			},
			Health: &machine.ServiceHealth{Unknown: !healthy, Healthy: healthy, LastChange: timestamppb.Now()},
		})
	}

	return &machine.ServiceListResponse{
		Messages: []*machine.ServiceList{{Metadata: n.metadata(), Services: services}},
	}, nil
}
