// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

var errNoEtcd = errors.New("error building etcd client TLS config: " +
	"open /system/secrets/etcd/admin.crt: no such file or directory")

func memberID(address string) uint64 {
	id := fnv.New64a()
	id.Write([]byte(address)) //nolint:errcheck

	return id.Sum64()
}

// etcdMembers are etcd's, as this node knows them while it runs etcd.
func (n *Node) etcdMembers() ([]Member, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	if len(n.members) == 0 {
		return nil, errNoEtcd
	}

	return n.members, nil
}

// EtcdMemberList tells etcd's members, once it runs and most of them do.
func (n *Node) EtcdMemberList(
	context.Context, *machine.EtcdMemberListRequest,
) (*machine.EtcdMemberListResponse, error) {
	if err := n.controlPlaneOnly("member list"); err != nil {
		return nil, err
	}

	known, err := n.etcdMembers()
	if err != nil {
		return nil, err
	}

	if running := n.fleet.running(known); 2*len(running) <= len(known) {
		return nil, errors.New("rpc error: code = Unavailable desc = etcdserver: no leader")
	}

	members := make([]*machine.EtcdMember, 0, len(known))

	for _, member := range known {
		members = append(members, &machine.EtcdMember{
			Id:         memberID(member.Address),
			Hostname:   member.Name,
			PeerUrls:   []string{"https://" + net.JoinHostPort(member.Address, "2380")},
			ClientUrls: []string{"https://" + net.JoinHostPort(member.Address, "2379")},
		})
	}

	return &machine.EtcdMemberListResponse{
		Messages: []*machine.EtcdMembers{{Metadata: n.metadata(), Members: members}},
	}, nil
}

// EtcdStatus tells what this node's member knows of itself and of the leader.
func (n *Node) EtcdStatus(context.Context, *emptypb.Empty) (*machine.EtcdStatusResponse, error) {
	if err := n.controlPlaneOnly("etcd status"); err != nil {
		return nil, err
	}

	known, err := n.etcdMembers()
	if err != nil {
		return nil, err
	}

	own := &machine.EtcdMemberStatus{
		MemberId:        memberID(n.address),
		ProtocolVersion: "3.6.6",
		StorageVersion:  "3.6.0",
		DbSize:          8 << 20,
		DbSizeInUse:     4 << 20,
		RaftTerm:        2,
	}

	if running := n.fleet.running(known); 2*len(running) > len(known) {
		own.Leader = memberID(running[0].Address)
	} else {
		own.Errors = []string{"etcdserver: no leader"}
	}

	return &machine.EtcdStatusResponse{
		Messages: []*machine.EtcdStatus{{Metadata: n.metadata(), MemberStatus: own}},
	}, nil
}

// validateForUpgrade is what Talos asks of etcd before the older way of an upgrade; the newer way asks nothing.
func (n *Node) validateForUpgrade() error {
	known, err := n.etcdMembers()
	if err != nil {
		return err
	}

	if len(known) == 2 {
		return errors.New("etcd member count(2) is insufficient to maintain quorum if upgrade commences")
	}

	running := n.fleet.running(known)
	if len(running) < len(known) {
		return fmt.Errorf("%d of %d etcd members are not healthy", len(known)-len(running), len(known))
	}

	return nil
}
