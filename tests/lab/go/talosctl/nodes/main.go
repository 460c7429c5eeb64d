// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// STAND-IN for Talos nodes: it serves Talos' API (gRPC, port 50000) on the addresses of the lab's machines, so that the
// real talosctl talks to it over real TLS. It reads and validates configurations with Talos' own code; behind the API
// there is no machine. What it does not serve: events, logs, upgrades that are staged, rollbacks, the drains that
// Talos makes by itself, and, for upgrade-k8s, images that are pulled beforehand. One process serves all nodes of a lab. It is told by JSON
// lines on standard input which machines run, and tells by JSON lines on standard output what was asked of them. It ends
// when its standard input does.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"sync"
)

// Order is what the lab tells us.
type Order struct {
	// Do is boot, halt, etcd or server.
	Do string `json:"do"`
	// Address is the node's.
	Address string `json:"address"`
	// Name is the host name that the platform gives the machine.
	Name string `json:"name"`
	// Version is Talos', as the machine's image says.
	Version string `json:"version"`
	// Schematic is the Image Factory's id of the image's extensions.
	Schematic string `json:"schematic"`
	// Disks are the devices' names, such as sda.
	Disks []string `json:"disks"`
	// Config is what lies on the machine's disk; empty: nothing, so it boots into maintenance mode.
	Config string `json:"config"`
	// Bootstrapped says whether etcd's data lies on the machine's disk.
	Bootstrapped bool `json:"bootstrapped"`
	// Members are etcd's, by host name and address; none: etcd does not run.
	Members []Member `json:"members"`
	// Down says that the node's API server does not get ready.
	Down bool `json:"down"`
	// Store is the lab's etcd, which has the data of all members; none: a snapshot cannot be had.
	Store *Store `json:"store"`
}

// Store is where an etcd answers, and the files with which it is asked.
type Store struct {
	URL         string `json:"url"`
	CA          string `json:"ca"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// Member is one member of etcd.
type Member struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Event is what we tell the lab.
type Event struct {
	// What is listening, maintenance, down, config, bootstrap, upgrade, left, wiped, pod or kubelet.
	What    string `json:"what"`
	Address string `json:"address"`
	// Config is the configuration on the node's disk now.
	Config string `json:"config,omitempty"`
	// Boot is the id of the boot in which the node listens.
	Boot string `json:"boot,omitempty"`
	// Data is the data directory from which etcd is bootstrapped, for the lab to take; empty: it has none yet.
	Data string `json:"data,omitempty"`
	// Member is the address of the member that has left etcd.
	Member string `json:"member,omitempty"`
	// Pod is a static pod with another Image or Stamp, the version of what it is made from; for a kubelet: its Image.
	Pod   string `json:"pod,omitempty"`
	Image string `json:"image,omitempty"`
	Stamp string `json:"stamp,omitempty"`
	// Version and Schematic are what an upgrade has installed.
	Version   string `json:"version,omitempty"`
	Schematic string `json:"schematic,omitempty"`
}

var output = struct {
	sync.Mutex
	*json.Encoder
}{Encoder: json.NewEncoder(os.Stdout)}

func tell(event Event) {
	output.Lock()
	defer output.Unlock()

	if err := output.Encode(event); err != nil {
		log.Fatalf("the lab is gone: %s", err)
	}
}

func main() {
	fleet := &Fleet{nodes: map[string]*Node{}}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 16<<20)

	for input.Scan() {
		var order Order

		if err := json.Unmarshal(input.Bytes(), &order); err != nil {
			log.Fatalf("not an order: %s", err)
		}

		switch order.Do {
		case "boot":
			fleet.boot(order)
		case "halt":
			fleet.halt(order.Address)
		case "etcd":
			fleet.etcd(order)
		case "server":
			fleet.server(order)
		default:
			log.Fatalf("no such order: %q", order.Do)
		}
	}
}
