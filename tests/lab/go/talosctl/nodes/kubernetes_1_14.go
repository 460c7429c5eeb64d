// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build talos_1_14

package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"go.yaml.in/yaml/v4"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

// kubeletDelay is how long a kubelet with another image takes until it runs, and then until it is healthy.
const kubeletDelay = 1 * time.Second

// component is a part of Kubernetes that Talos runs.
type component struct {
	image string
	args  []string
}

// publishKubernetes says what upgrade-k8s asks for. The caller holds the lock.
func (n *Node) publishKubernetes() {
	if n.running == nil || !n.bootable {
		return
	}

	configured := n.running.K8sKubeletConfig()
	n.runKubelet(component{configured.Image(), arguments(configured.ExtraArgs())})

	if !n.running.Machine().Type().IsControlPlane() || len(n.members) == 0 {
		return
	}

	n.resources.setManifests(manifests(n.running))

	for id, part := range controlPlane(n.running) {
		version := n.resources.setComponent(id, part, atLeast(n.version, "v1.14"))
		if n.staticPods[id] != version {
			n.staticPods[id] = version
			tell(Event{What: "pod", Address: n.address, Pod: id, Image: part.image, Stamp: version})
		}
	}
}

// runKubelet starts a kubelet, anew where its image is another one. The caller holds the lock.
func (n *Node) runKubelet(wanted component) {
	former := n.kubelet
	n.kubelet = wanted.image
	n.resources.setKubelet(wanted)

	switch former {
	case "":
		n.resources.setService(true)
	case wanted.image:
	default:
		n.resources.dropService()

		resources := n.resources // of this boot

		time.AfterFunc(kubeletDelay, func() {
			tell(Event{What: "kubelet", Address: n.address, Image: wanted.image})
			resources.setService(false)
		})
		time.AfterFunc(2*kubeletDelay, func() { resources.setService(true) })
	}
}

func controlPlane(running config.Provider) map[string]component {
	server, manager, scheduler := running.K8sAPIServerConfig(), running.K8sControllerManagerConfig(),
		running.K8sSchedulerConfig()

	return map[string]component{
		k8s.APIServerID:         {server.Image(), arguments(server.ExtraArgs())},
		k8s.ControllerManagerID: {manager.Image(), arguments(manager.ExtraArgs())},
		k8s.SchedulerID:         {scheduler.Image(), arguments(scheduler.ExtraArgs())},
	}
}

func arguments(extra map[string][]string) []string {
	var found []string

	for name, values := range extra {
		for _, value := range values {
			found = append(found, "--"+name+"="+value)
		}
	}

	slices.Sort(found)

	return found
}

// setComponent tells of a static pod and the image that it is made from. Returns the version of what it was made from,
// which Talos stamps on the pod. From 1.14 on that is another resource than before, whose versions are its own.
func (r *resources) setComponent(id string, part component, final bool) string {
	ctx := context.Background()

	pod := k8s.NewStaticPod(k8s.NamespaceName, id)
	must(safe.StateModify(ctx, r.state, pod, func(pod *k8s.StaticPod) error {
		command := append([]any{id}, anys(part.args)...)
		containers := []any{map[string]any{"name": id, "image": part.image, "command": command}}
		pod.TypedSpec().Pod = map[string]any{"spec": map[string]any{"containers": containers}}

		return nil
	}))

	names := []string{id}
	if final {
		names = append(names, k8s.FinalPrefix+id)
	}

	var stamp string

	for _, name := range names {
		stamp = r.setImage(ctx, id, name, part.image)
	}

	return stamp
}

func (r *resources) setImage(ctx context.Context, id, name, image string) string {
	var (
		found resource.Resource
		err   error
	)

	switch id {
	case k8s.APIServerID:
		found, err = safe.StateModifyWithResult(ctx, r.state, k8s.NewAPIServerConfig(name),
			func(config *k8s.APIServerConfig) error {
				config.TypedSpec().Image = image

				return nil
			})
	case k8s.ControllerManagerID:
		found, err = safe.StateModifyWithResult(ctx, r.state, k8s.NewControllerManagerConfig(name),
			func(config *k8s.ControllerManagerConfig) error {
				config.TypedSpec().Image = image

				return nil
			})
	default:
		found, err = safe.StateModifyWithResult(ctx, r.state, k8s.NewSchedulerConfig(name),
			func(config *k8s.SchedulerConfig) error {
				config.TypedSpec().Image = image

				return nil
			})
	}

	must(err)

	return found.Metadata().Version().String()
}

func (r *resources) setKubelet(wanted component) {
	spec := k8s.NewKubeletSpec(k8s.NamespaceName, k8s.KubeletID)
	must(safe.StateModify(context.Background(), r.state, spec, func(spec *k8s.KubeletSpec) error {
		spec.TypedSpec().Image, spec.TypedSpec().Args = wanted.image, wanted.args

		return nil
	}))
}

func (r *resources) setService(healthy bool) {
	must(safe.StateModify(context.Background(), r.state, v1alpha1.NewService(k8s.KubeletID),
		func(service *v1alpha1.Service) error {
			service.TypedSpec().Running, service.TypedSpec().Healthy = true, healthy

			return nil
		}))
}

func (r *resources) dropService() {
	err := r.state.Destroy(context.Background(), v1alpha1.NewService(k8s.KubeletID).Metadata())
	if !state.IsNotFoundError(err) {
		must(err)
	}
}

// setManifests replaces the manifests of the objects that Talos makes in Kubernetes.
func (r *resources) setManifests(wanted map[string][]map[string]any) {
	ctx := context.Background()

	for name, objects := range wanted {
		must(safe.StateModify(ctx, r.state, k8s.NewManifest(k8s.ControlPlaneNamespaceName, name),
			func(manifest *k8s.Manifest) error {
				manifest.TypedSpec().Items = nil
				for _, object := range objects {
					manifest.TypedSpec().Items = append(manifest.TypedSpec().Items, k8s.SingleManifest{Object: object})
				}

				return nil
			}))
	}

	found, err := safe.StateList[*k8s.Manifest](ctx, r.state, k8s.NewManifest(k8s.ControlPlaneNamespaceName, "").Metadata())
	must(err)

	for manifest := range found.All() {
		if wanted[manifest.Metadata().ID()] == nil {
			must(r.state.Destroy(ctx, manifest.Metadata()))
		}
	}
}

// manifests are some of the objects that Talos makes, under the names that it gives them, and what a configuration
// brings along. Their contents are shorter than Talos'.
func manifests(running config.Provider) map[string][]map[string]any {
	id, secret := running.Cluster().Token().ID(), running.Cluster().Token().Secret()
	found := map[string][]map[string]any{
		"00-kubelet-bootstrapping-token": {object("v1", "Secret", "kube-system", "bootstrap-token-"+id, map[string]any{
			"type": "bootstrap.kubernetes.io/token",
			"stringData": map[string]any{
				"token-id": id, "token-secret": secret, "usage-bootstrap-authentication": "true",
			},
		})},
		"11-kube-config-in-cluster": {object("v1", "ConfigMap", "kube-system", "kubeconfig-in-cluster", map[string]any{
			"data": map[string]any{"kubeconfig": running.K8sClusterConfig().ClusterEndpoint().String()},
		})},
	}

	if dns := running.K8sCoreDNSConfig(); dns != nil && dns.Enabled() {
		found["11-core-dns"] = []map[string]any{workload("Deployment", "coredns", "kube-dns", dns.Image())}
	}

	if running.K8sFlannelCNIConfig() != nil {
		found["05-flannel"] = []map[string]any{workload("DaemonSet", "kube-flannel", "flannel", "flannel:v1")}
	}

	if proxy := running.K8sProxyConfig(); proxy != nil && proxy.Enabled() {
		found["10-kube-proxy"] = []map[string]any{workload("DaemonSet", "kube-proxy", "kube-proxy", proxy.Image())}
	}

	for _, inline := range running.K8sInlineManifestConfigs() {
		decoder := yaml.NewDecoder(strings.NewReader(inline.Contents()))

		for {
			var content map[string]any

			err := decoder.Decode(&content)
			if errors.Is(err, io.EOF) {
				break
			}

			must(err)

			name := "99-inline-" + inline.Name()
			found[name] = append(found[name], content)
		}
	}

	return found
}

func workload(kind, name, app, image string) map[string]any {
	labels := map[string]any{"k8s-app": app}

	return object("apps/v1", kind, "kube-system", name, map[string]any{
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec": map[string]any{
					"containers":  []any{map[string]any{"name": app, "image": image}},
					"tolerations": []any{map[string]any{"operator": "Exists"}},
				},
			},
		},
	})
}

func object(version, kind, namespace, name string, rest map[string]any) map[string]any {
	found := map[string]any{
		"apiVersion": version,
		"kind":       kind,
		"metadata":   map[string]any{"name": name, "namespace": namespace},
	}

	for key, value := range rest {
		found[key] = value
	}

	return found
}

func anys(words []string) []any {
	found := make([]any, len(words))
	for i, word := range words {
		found[i] = word
	}

	return found
}
