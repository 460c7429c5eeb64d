// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
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

// EtcdSnapshot passes on a snapshot of the lab's real etcd.
func (n *Node) EtcdSnapshot(_ *machine.EtcdSnapshotRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	if err := n.controlPlaneOnly("etcd snapshot"); err != nil {
		return err
	}

	n.mu.Lock()
	store, known := n.store, n.members
	n.mu.Unlock()

	if store == nil || 2*len(n.fleet.running(known)) <= len(known) {
		return status.Error(codes.Unavailable, "etcdserver: no leader")
	}

	answer, err := store.take(stream.Context())
	if err != nil {
		return err
	}

	defer answer.Close() //nolint:errcheck

	parts := json.NewDecoder(answer)

	for {
		var part struct {
			Result struct {
				Blob []byte `json:"blob"`
			} `json:"result"`
		}

		switch err = parts.Decode(&part); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}

		if err = stream.Send(&common.Data{Metadata: n.metadata(), Bytes: part.Result.Blob}); err != nil {
			return err
		}
	}
}

// take asks etcd's HTTP gateway for a snapshot. It answers with JSON values one after the other.
func (s *Store) take(ctx context.Context) (io.ReadCloser, error) {
	ca, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}

	certificate, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
	if err != nil {
		return nil, err
	}

	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(ca)

	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, s.URL+"/v3/maintenance/snapshot", strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}

	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authorities, Certificates: []tls.Certificate{certificate}},
	}}

	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}

	return answer.Body, nil
}

// EtcdRecover takes a snapshot, from which the next bootstrap makes etcd.
func (n *Node) EtcdRecover(stream grpc.ClientStreamingServer[common.Data, machine.EtcdRecoverResponse]) error {
	if err := n.controlPlaneOnly("etcd recover"); err != nil {
		return err
	}

	file, err := os.CreateTemp("", "talos-nodes-*.snapshot")
	if err != nil {
		return err
	}

	defer file.Close() //nolint:errcheck

	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return errors.Join(err, os.Remove(file.Name()))
		}

		if _, err = file.Write(part.GetBytes()); err != nil {
			return err
		}
	}

	n.mu.Lock()
	n.upload = file.Name()
	n.mu.Unlock()

	return stream.SendAndClose(&machine.EtcdRecoverResponse{
		Messages: []*machine.EtcdRecover{{Metadata: n.metadata()}},
	})
}

// Bootstrap makes etcd's first member out of this node, once: empty, or with what was uploaded before.
func (n *Node) Bootstrap(_ context.Context, request *machine.BootstrapRequest) (*machine.BootstrapResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	switch {
	case !n.bootable:
		return nil, status.Error(codes.FailedPrecondition, "bootstrap is not available yet")
	case !n.running.Machine().Type().IsControlPlane():
		return nil, status.Error(codes.FailedPrecondition, "bootstrap can only be performed on a control plane node")
	case n.bootstrapped:
		return nil, status.Error(codes.AlreadyExists, "etcd data directory is not empty")
	}

	event := Event{What: "bootstrap", Address: n.address}

	if request.GetRecoverEtcd() {
		data, err := n.recovered(request.GetRecoverSkipHashCheck())
		if err != nil {
			return nil, err
		}

		event.Data = data
	}

	n.bootstrapped = true
	tell(event)

	return &machine.BootstrapResponse{Messages: []*machine.Bootstrap{{Metadata: n.metadata()}}}, nil
}

// recovered makes a data directory out of what was uploaded, as etcd's own tool does it. The caller holds the lock.
func (n *Node) recovered(skipHashCheck bool) (string, error) {
	if n.upload == "" {
		return "", status.Error(codes.FailedPrecondition, "no snapshot was uploaded")
	}

	data := n.upload + ".data"
	peer := "http://127.0.0.1:2380"

	if err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath:        n.upload,
		Name:                "lab",
		OutputDataDir:       data,
		PeerURLs:            []string{peer},
		InitialCluster:      "lab=" + peer,
		InitialClusterToken: "lab",
		SkipHashCheck:       skipHashCheck,
	}); err != nil {
		return "", err
	}

	return data, os.Remove(n.upload)
}
