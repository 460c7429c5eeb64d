// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/compatibility"
)

// What an installation takes: long enough for whoever looks at once to see the node as it was.
const installDelay = 1500 * time.Millisecond

// image is an installer, and what a node that boots what it installed runs.
type image struct {
	reference string
	version   string
	schematic string
}

var errNotFound = errors.New("not found")

// pull finds an installer. The registry of the lab's factory is asked for it; others are taken to have it.
func pull(ctx context.Context, reference string) (image, error) {
	registry, rest, _ := strings.Cut(reference, "/")

	name, version, tagged := strings.Cut(rest, ":")
	if !tagged {
		return image{}, fmt.Errorf("%q has no tag", reference)
	}

	found := image{reference: reference, version: version}
	if strings.HasSuffix(path.Dir(name), "-installer") { // another one brings no extensions
		found.schematic = path.Base(name)
	}

	host, _, err := net.SplitHostPort(registry)
	if address := net.ParseIP(host); err != nil || address == nil || !address.IsLoopback() {
		return found, nil
	}

	url := fmt.Sprintf("https://%s/v2/%s/manifests/%s", registry, name, version)

	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return image{}, err
	}

	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec

	answer, err := client.Do(request)
	if err != nil {
		return image{}, err
	}

	defer answer.Body.Close() //nolint:errcheck

	if answer.StatusCode != http.StatusOK {
		return image{}, fmt.Errorf("failed to resolve reference %q: %s: %w", reference, reference, errNotFound)
	}

	return found, nil
}

// compatible is what an installer asks before it writes anything.
func (n *Node) compatible(wanted image) error {
	target, err := compatibility.ParseTalosVersion(&machine.VersionInfo{Tag: wanted.version})
	if err != nil {
		return err
	}

	n.mu.Lock()
	running, version := n.running, n.version
	n.mu.Unlock()

	host, err := compatibility.ParseTalosVersion(&machine.VersionInfo{Tag: version})
	if err != nil {
		return err
	}

	if err = target.UpgradeableFrom(host); err != nil {
		return err
	}

	for _, component := range kubernetesImages(running) {
		_, tag, _ := strings.Cut(path.Base(component), ":")

		kubernetes, err := compatibility.ParseKubernetesVersion(tag)
		if err != nil {
			return err
		}

		if err = kubernetes.SupportedWith(target); err != nil {
			return err
		}
	}

	return nil
}

// Read tells the id of the boot, and has no other file.
func (n *Node) Read(request *machine.ReadRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	if request.GetPath() != "/proc/sys/kernel/random/boot_id" {
		return status.Errorf(codes.NotFound, "STAND-IN: there is no %s", request.GetPath())
	}

	n.mu.Lock()
	boot := n.boot
	n.mu.Unlock()

	return stream.Send(&common.Data{Metadata: n.metadata(), Bytes: []byte(boot + "\n")})
}

// install puts Talos on the disk. It runs from the next boot on.
func (n *Node) install(wanted image) {
	n.mu.Lock()
	defer n.mu.Unlock()

	n.installed = wanted
	tell(Event{What: "upgrade", Address: n.address, Version: wanted.version, Schematic: wanted.schematic})
}

// Upgrade is the older way, the only one before Talos 1.13: the node answers, then installs and reboots by itself. Its
// own drain is not here. One that is asked for while another one runs is answered, too, and comes to nothing.
func (n *Node) Upgrade(ctx context.Context, request *machine.UpgradeRequest) (*machine.UpgradeResponse, error) {
	wanted, err := pull(ctx, request.GetImage())
	if err != nil {
		return nil, fmt.Errorf("error validating installer image %q: %w", request.GetImage(), err)
	}

	if n.active().Machine().Type().IsControlPlane() && !request.GetForce() {
		if err = n.validateForUpgrade(); err != nil {
			return nil, fmt.Errorf("error validating etcd for upgrade: %w", err)
		}
	}

	if n.installing.TryLock() {
		go func() {
			defer n.installing.Unlock()

			if !n.sleep(installDelay) {
				return
			}

			if err := n.compatible(wanted); err != nil {
				log.Printf("%s: upgrade failed: %s", n.address, err)
			} else {
				n.install(wanted)
			}

			n.mu.Lock()
			defer n.mu.Unlock()

			n.reboot()
		}()
	}

	return &machine.UpgradeResponse{
		Messages: []*machine.Upgrade{{Metadata: n.metadata(), Ack: "Upgrade request received", ActorId: uuid.NewString()}},
	}, nil
}

// Reboot boots the node anew, from the configuration that lies on its disk.
func (n *Node) Reboot(context.Context, *machine.RebootRequest) (*machine.RebootResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	n.reboot()

	return &machine.RebootResponse{
		Messages: []*machine.Reboot{{Metadata: n.metadata(), ActorId: uuid.NewString()}},
	}, nil
}
