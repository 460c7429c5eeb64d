// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"reflect"

	"go.yaml.in/yaml/v4"

	"github.com/siderolabs/talos/pkg/machinery/config"
)

// The parts of a configuration that Talos 1.12 changes without a reboot. Other documents than v1alpha1 never need one.
var (
	immediateTop     = []string{"debug", "cluster"}
	immediateMachine = []string{
		"ca", "acceptedCAs", "time", "certSANs", "install", "network", "sysfs", "sysctls", "logging", "controlPlane",
		"kubelet", "kernel", "registries", "pods", "seccompProfiles", "nodeAnnotations", "nodeLabels", "nodeTaints",
	}
	immediateFeatures = []string{
		"kubernetesTalosAPIAccess", "kubePrism", "hostDNS", "imageCache", "nodeAddressSortAlgorithm",
	}
)

// immediate is the error that Talos before 1.14 gives when a change needs a reboot. A newer one keeps any change.
func (n *Node) immediate(wanted config.Provider) error {
	if atLeast(n.version, "v1.14") {
		return nil
	}

	before, err := fixedPart(n.running)
	if err != nil {
		return err
	}

	after, err := fixedPart(wanted)
	if err != nil {
		return err
	}

	if !reflect.DeepEqual(before, after) {
		return errors.New("this config change can't be applied in immediate mode\ndiff: (STAND-IN)")
	}

	return nil
}

// fixedPart is what of a configuration can only change with a reboot.
func fixedPart(provider config.Provider) (map[string]any, error) {
	text, err := yaml.Marshal(provider.RawV1Alpha1())
	if err != nil {
		return nil, err
	}

	var all map[string]any

	if err = yaml.Unmarshal(text, &all); err != nil {
		return nil, err
	}

	drop(all, immediateTop)

	if machine, ok := all["machine"].(map[string]any); ok {
		drop(machine, immediateMachine)

		if features, ok := machine["features"].(map[string]any); ok {
			drop(features, immediateFeatures)
		}
	}

	return all, nil
}

func drop(from map[string]any, keys []string) {
	for _, key := range keys {
		delete(from, key)
	}
}
