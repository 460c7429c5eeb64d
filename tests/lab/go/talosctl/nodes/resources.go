// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"log"

	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/cosi-project/runtime/pkg/state/registry"

	talosconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

// resources are what talosctl get shows: the few that say something about a machine that is not there.
type resources struct {
	state state.State
}

func newResources(disks []string) *resources {
	r := &resources{state: state.WrapCore(namespaced.NewState(inmem.Build))}
	ctx := context.Background()
	namespaces := registry.NewNamespaceRegistry(r.state)
	definitions := registry.NewResourceRegistry(r.state)

	must(namespaces.RegisterDefault(ctx))
	must(definitions.RegisterDefault(ctx))

	for _, name := range []string{
		runtime.NamespaceName, config.NamespaceName, network.NamespaceName, k8s.NamespaceName,
		k8s.ControlPlaneNamespaceName,
	} {
		must(namespaces.Register(ctx, name, "STAND-IN"))
	}

	for _, kind := range []meta.ResourceWithRD{
		&runtime.MachineStatus{},
		&runtime.ExtensionStatus{},
		&config.MachineConfig{},
		&network.HostnameStatus{},
		&block.Disk{},
		&k8s.StaticPodStatus{},
		&k8s.StaticPod{},
		&k8s.KubeletSpec{},
		&k8s.APIServerConfig{},
		&k8s.ControllerManagerConfig{},
		&k8s.SchedulerConfig{},
		&k8s.Manifest{},
		&v1alpha1.Service{},
	} {
		must(definitions.Register(ctx, kind))
	}

	r.addDisk("loop0", func(disk *block.DiskSpec) { // Talos' own image
		disk.SetSize(64 * 1024 * 1024)
		disk.Readonly, disk.BusPath = true, "/virtual"
	})

	for _, name := range disks {
		r.addDisk(name, func(disk *block.DiskSpec) {
			disk.SetSize(32 * 1024 * 1024 * 1024)
			disk.Model, disk.BusPath = "QEMU HARDDISK", "/pci0000:00/0000:00:05.0/virtio1"
		})
	}

	return r
}

func (r *resources) addDisk(name string, describe func(*block.DiskSpec)) {
	disk := block.NewDisk(block.NamespaceName, name)
	disk.TypedSpec().DevPath, disk.TypedSpec().SubSystem = "/dev/"+name, "/sys/class/block"
	describe(disk.TypedSpec())
	must(r.state.Create(context.Background(), disk))
}

func (r *resources) set(
	stage runtime.MachineStage, unmet []runtime.UnmetCondition, running, onDisk talosconfig.Provider,
	hostname, schematic string,
) {
	ctx := context.Background()

	must(safe.StateModify(ctx, r.state, runtime.NewMachineStatus(), func(status *runtime.MachineStatus) error {
		status.TypedSpec().Stage = stage
		status.TypedSpec().Status.Ready = len(unmet) == 0
		status.TypedSpec().Status.UnmetConditions = unmet

		return nil
	}))
	must(safe.StateModify(ctx, r.state, network.NewHostnameStatus(network.NamespaceName, network.HostnameID),
		func(status *network.HostnameStatus) error {
			status.TypedSpec().Hostname = hostname

			return nil
		}))

	// The Image Factory notes the schematic as an extension of this name.
	must(safe.StateModify(ctx, r.state, runtime.NewExtensionStatus(runtime.NamespaceName, "schematic"),
		func(status *runtime.ExtensionStatus) error {
			status.TypedSpec().Metadata.Name = "schematic"
			status.TypedSpec().Metadata.Version = schematic

			return nil
		}))

	if running == nil {
		return
	}

	r.setConfig(ctx, config.NewMachineConfigWithID(running, config.ActiveID))
	r.setConfig(ctx, config.NewMachineConfigWithID(onDisk, config.PersistentID))
}

// setServer tells of the node's own API server, a static pod, as its kubelet does.
func (r *resources) setServer(hostname string, ready bool) {
	status := "False"
	if ready {
		status = "True"
	}

	pod := k8s.NewStaticPodStatus(k8s.NamespaceName, "kube-system/kube-apiserver-"+hostname)
	must(safe.StateModify(context.Background(), r.state, pod, func(pod *k8s.StaticPodStatus) error {
		pod.TypedSpec().PodStatus = map[string]any{
			"phase":      "Running",
			"conditions": []any{map[string]any{"type": "Ready", "status": status}},
		}

		return nil
	}))
}

// setConfig replaces a configuration, which has no setter.
func (r *resources) setConfig(ctx context.Context, wanted *config.MachineConfig) {
	err := r.state.Create(ctx, wanted)
	if !state.IsConflictError(err) {
		must(err)

		return
	}

	found, err := r.state.Get(ctx, wanted.Metadata())
	must(err)
	wanted.Metadata().SetVersion(found.Metadata().Version())
	must(r.state.Update(ctx, wanted))
}

func must(err error) {
	if err != nil {
		log.Fatalf("resources: %s", err)
	}
}
