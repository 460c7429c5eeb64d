// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"log"
	"net"
	"sync"
	"time"

	cosiv1alpha1 "github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

const (
	apiPort = "50000"
	// A machine does not answer at once, neither when it was switched on nor when it reboots, and after its API is up it
	// takes another moment until etcd may be bootstrapped.
	bootDelay   = 300 * time.Millisecond
	rebootDelay = 500 * time.Millisecond
	readyDelay  = 500 * time.Millisecond
	// And a while longer until its API server is.
	serverDelay = time.Second
)

// Node is one machine that runs Talos.
type Node struct {
	machine.UnimplementedMachineServiceServer

	fleet   *Fleet
	address string
	name    string
	stop    context.CancelFunc
	ctx     context.Context

	installing sync.Mutex

	mu           sync.Mutex
	version      string
	schematic    string
	boot         string // its id, another one each time
	installed    image  // what the next boot runs, where it was installed since this one
	disks        []string
	onDisk       config.Provider // what the next boot uses
	running      config.Provider // what is used now; nil: maintenance mode
	resources    *resources
	bootstrapped bool
	serverDown   bool // its API server does not get ready
	serverUp     bool
	bootable     bool // etcd may be bootstrapped
	members      []Member
	store        *Store
	services     map[string]any    // what it serves while it answers as a configured node, by the service's name
	kubelet      string            // the image that its kubelet runs
	staticPods   map[string]string // the version of what each of its static pods is made from
	upload       string        // the file of a snapshot of etcd that was uploaded
	changed      chan struct{} // closed when the node has to boot anew
}

func newNode(fleet *Fleet, order Order) *Node {
	ctx, stop := context.WithCancel(context.Background())

	return &Node{
		fleet:        fleet,
		address:      order.Address,
		name:         order.Name,
		version:      order.Version,
		schematic:    order.Schematic,
		disks:        order.Disks,
		bootstrapped: order.Bootstrapped,
		ctx:          ctx,
		stop:         stop,
	}
}

func (n *Node) halt() {
	n.stop()
}

func (n *Node) active() config.Provider {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.running
}

func (n *Node) setMembers(members []Member, store *Store) {
	n.mu.Lock()
	defer n.mu.Unlock()

	n.members, n.store = members, store
	n.publish()
}

// run boots the machine again and again until it is halted.
func (n *Node) run() {
	delay := bootDelay

	for n.sleep(delay) {
		n.mu.Lock()
		if n.installed.version != "" {
			n.version, n.schematic = n.installed.version, n.installed.schematic
		}

		n.boot = uuid.NewString()
		n.running = n.onDisk
		n.bootable, n.serverUp = false, false
		n.services, n.kubelet, n.staticPods = nil, "", map[string]string{}
		n.resources = newResources(n.disks)
		n.changed = make(chan struct{})
		changed := n.changed
		n.publish()
		n.mu.Unlock()

		n.serve(changed)

		if n.ctx.Err() == nil {
			tell(Event{What: "down", Address: n.address})
		}

		delay = rebootDelay
	}
}

// sleep is false when the machine was halted meanwhile.
func (n *Node) sleep(delay time.Duration) bool {
	select {
	case <-n.ctx.Done():
		return false
	case <-time.After(delay):
		return true
	}
}

// serve answers until the machine is halted or boots anew.
func (n *Node) serve(changed <-chan struct{}) {
	security, err := n.security()
	for err == nil && security == nil { // a worker waits for a control plane to sign its certificate
		if !n.sleep(rebootDelay) {
			return
		}

		security, err = n.security()
	}

	if err != nil {
		log.Printf("%s: no certificate: %s", n.address, err)

		return
	}

	listener, err := net.Listen("tcp", net.JoinHostPort(n.address, apiPort))
	if err != nil {
		log.Printf("%s: %s", n.address, err)

		return
	}

	options := []grpc.ServerOption{grpc.Creds(credentials.NewTLS(security))}
	if n.active() != nil {
		options = append(options, grpc.UnaryInterceptor(n.checkUnary), grpc.StreamInterceptor(n.checkStream))
	}

	api := grpc.NewServer(options...)

	if n.active() == nil {
		machine.RegisterMachineServiceServer(api, &maintenance{node: n})
	} else {
		machine.RegisterMachineServiceServer(api, n)
		registerNewer(api, n)
	}

	n.mu.Lock()
	resources := server.NewState(state.WrapCore(n.resources.state))
	cosiv1alpha1.RegisterStateServer(api, resources)

	if n.running != nil {
		n.services = map[string]any{
			machine.MachineService_ServiceDesc.ServiceName: n,
			cosiv1alpha1.State_ServiceDesc.ServiceName:     resources,
		}
	}
	n.mu.Unlock()

	go func() {
		select {
		case <-n.ctx.Done():
		case <-changed:
			time.Sleep(50 * time.Millisecond) // the answer to whoever caused this goes out first
		}

		api.Stop()
	}()

	what := "maintenance"
	if n.active() != nil {
		what = "listening"

		go n.becomeBootable(changed)
	}

	n.mu.Lock()
	boot := n.boot
	n.mu.Unlock()
	tell(Event{What: what, Address: n.address, Boot: boot})

	if err = api.Serve(listener); err != nil {
		log.Printf("%s: %s", n.address, err)
	}

	n.mu.Lock()
	n.services = nil
	n.mu.Unlock()
}

func (n *Node) becomeBootable(changed <-chan struct{}) {
	select {
	case <-n.ctx.Done():
	case <-changed:
	case <-time.After(readyDelay):
		n.mu.Lock()
		n.bootable = true
		n.publish()
		n.mu.Unlock()

		if n.sleep(serverDelay) {
			n.mu.Lock()
			n.serverUp = true
			n.publish()
			n.mu.Unlock()
		}
	}
}

// setServer lets the node's API server get ready, or not.
func (n *Node) setServer(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()

	n.serverDown = down
	n.publish()
}

// reboot lets the node boot from what lies on its disk. The caller holds the lock.
func (n *Node) reboot() {
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// keep puts a configuration on the disk. The caller holds the lock.
func (n *Node) keep(provider config.Provider) error {
	text, err := provider.Bytes()
	if err != nil {
		return err
	}

	n.onDisk = provider
	tell(Event{What: "config", Address: n.address, Config: string(text)})

	return nil
}

// publish brings the resources up to date. The caller holds the lock.
func (n *Node) publish() {
	if n.resources == nil {
		return
	}

	stage, unmet := n.stage()
	n.resources.set(stage, unmet, n.running, n.onDisk, n.hostname(), n.schematic)

	if n.bootable && n.running != nil && n.running.Machine().Type().IsControlPlane() && len(n.members) > 0 {
		n.resources.setServer(n.hostname(), n.serverUp && !n.serverDown)
	}

	n.publishKubernetes()
}

// stage is what MachineStatus says.
func (n *Node) stage() (runtime.MachineStage, []runtime.UnmetCondition) {
	switch {
	case n.running == nil:
		return runtime.MachineStageMaintenance, nil
	case !n.bootable:
		return runtime.MachineStageBooting, nil
	case n.running.Machine().Type().IsControlPlane() && len(n.members) == 0:
		return runtime.MachineStageRunning, []runtime.UnmetCondition{
			{Name: "services", Reason: "etcd [pre]: waiting to join the cluster"},
		}
	default:
		return runtime.MachineStageRunning, nil
	}
}

// hostname is the configured one, else the one that the platform gives.
func (n *Node) hostname() string {
	if n.running != nil {
		if given := n.running.NetworkHostnameConfig(); given != nil && given.Hostname() != "" {
			return given.Hostname()
		}
	}

	return n.name
}
