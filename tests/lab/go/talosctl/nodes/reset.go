// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"log"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

const resetDelay = 1500 * time.Millisecond

// Reset wipes the machine, after it has left etcd where that is asked for. It is off then, or boots without configuration.
func (n *Node) Reset(_ context.Context, request *machine.ResetRequest) (*machine.ResetResponse, error) {
	if n.installing.TryLock() {
		go func() {
			defer n.installing.Unlock()

			if !n.sleep(resetDelay) {
				return
			}

			if request.GetGraceful() && n.active().Machine().Type().IsControlPlane() {
				if err := n.leave(); err != nil {
					log.Printf("%s: reset failed: failed to leave cluster: %s", n.address, err)

					n.mu.Lock()
					defer n.mu.Unlock()

					n.reboot()

					return
				}
			}

			n.mu.Lock()
			n.onDisk = nil
			tell(Event{What: "wiped", Address: n.address})
			n.mu.Unlock()

			if request.GetReboot() {
				n.mu.Lock()
				defer n.mu.Unlock()

				n.reboot()

				return
			}

			n.fleet.halt(n.address)
		}()
	}

	return &machine.ResetResponse{
		Messages: []*machine.Reset{{Metadata: n.metadata(), ActorId: uuid.NewString()}},
	}, nil
}

// leave takes this member out of etcd, where the others are enough to agree on that.
func (n *Node) leave() error {
	known, err := n.etcdMembers()
	if err != nil {
		return err
	}

	if running := n.fleet.running(known); 2*(len(running)-1) <= len(known)-1 {
		return errors.New("etcdserver: re-configuration failed due to not enough started members")
	}

	tell(Event{What: "left", Address: n.address, Member: n.address})

	return nil
}

// EtcdRemoveMemberByID takes another member out of etcd.
func (n *Node) EtcdRemoveMemberByID(
	_ context.Context, request *machine.EtcdRemoveMemberByIDRequest,
) (*machine.EtcdRemoveMemberByIDResponse, error) {
	if err := n.controlPlaneOnly("etcd remove member"); err != nil {
		return nil, err
	}

	known, err := n.etcdMembers()
	if err != nil {
		return nil, err
	}

	if running := n.fleet.running(known); 2*len(running) <= len(known) {
		return nil, status.Error(codes.Unavailable, "etcdserver: no leader")
	}

	for _, member := range known {
		if memberID(member.Address) == request.GetMemberId() {
			tell(Event{What: "left", Address: n.address, Member: member.Address})

			return &machine.EtcdRemoveMemberByIDResponse{
				Messages: []*machine.EtcdRemoveMemberByID{{Metadata: n.metadata()}},
			}, nil
		}
	}

	return nil, status.Error(codes.NotFound, "etcdserver: member not found")
}
