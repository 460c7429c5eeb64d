// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"log"
	"sync"

	"github.com/siderolabs/crypto/x509"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
)

// Fleet is every machine that runs.
type Fleet struct {
	mu    sync.Mutex
	nodes map[string]*Node
}

func (f *Fleet) boot(order Order) {
	node := newNode(f, order)

	if order.Config != "" {
		onDisk, err := configloader.NewFromBytes([]byte(order.Config))
		if err == nil {
			err = node.knows(onDisk)
		}

		if err != nil {
			log.Fatalf("%s: what lies on its disk is no configuration: %s", order.Address, err)
		}

		node.onDisk = onDisk
	}

	f.mu.Lock()
	f.nodes[order.Address] = node
	f.mu.Unlock()

	go node.run()
}

func (f *Fleet) halt(address string) {
	f.mu.Lock()
	node := f.nodes[address]
	delete(f.nodes, address)
	f.mu.Unlock()

	if node != nil {
		node.halt()
	}
}

func (f *Fleet) etcd(order Order) {
	f.mu.Lock()
	node := f.nodes[order.Address]
	f.mu.Unlock()

	if node != nil {
		node.setMembers(order.Members, order.Store)
	}
}

func (f *Fleet) server(order Order) {
	f.mu.Lock()
	node := f.nodes[order.Address]
	f.mu.Unlock()

	if node != nil {
		node.setServer(order.Down)
	}
}

// served is what a node serves under a service's name; nil where it does not answer as a configured one.
func (f *Fleet) served(address, service string) any {
	f.mu.Lock()
	node := f.nodes[address]
	f.mu.Unlock()

	if node == nil {
		return nil
	}

	node.mu.Lock()
	defer node.mu.Unlock()

	return node.services[service]
}

// running are those of etcd's members that run.
func (f *Fleet) running(members []Member) []Member {
	f.mu.Lock()
	defer f.mu.Unlock()

	var found []Member

	for _, member := range members {
		node := f.nodes[member.Address]
		if node == nil {
			continue
		}

		node.mu.Lock()
		if node.bootable && len(node.members) > 0 {
			found = append(found, member)
		}
		node.mu.Unlock()
	}

	return found
}

// issuer stands for trustd: a worker has no CA key, so a control plane of its cluster that runs signs for it. It is nil
// while there is none that has the worker's CA and its token.
func (f *Fleet) issuer(worker config.Config) *x509.PEMEncodedCertificateAndKey {
	f.mu.Lock()
	defer f.mu.Unlock()

	for _, node := range f.nodes {
		active := node.active()
		if active == nil || !active.Machine().Type().IsControlPlane() {
			continue
		}

		ca := active.Machine().Security().IssuingCA()
		if ca == nil || len(ca.Key) == 0 || active.Machine().Security().Token() != worker.Machine().Security().Token() {
			continue
		}

		if own := worker.Machine().Security().IssuingCA(); own != nil && bytes.Equal(own.Crt, ca.Crt) {
			return ca
		}

		for _, accepted := range worker.Machine().Security().AcceptedCAs() {
			if bytes.Equal(accepted.Crt, ca.Crt) {
				return ca
			}
		}
	}

	return nil
}
