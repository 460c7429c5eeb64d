// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build talos_1_14

package main

import (
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/siderolabs/talos/pkg/kubeconfig"
	"github.com/siderolabs/talos/pkg/machinery/config"
	part "github.com/siderolabs/talos/pkg/machinery/config/config"
)

// newKinds are the documents that came after 1.12, each with the minor version that brought it.
var newKinds = kindsSince(map[string]string{
	"v1.13": `BlackholeRouteConfig EnvironmentConfig ExternalVolumeConfig ImageVerificationConfig KubeSpanConfig
		RoutingRuleConfig TCPProbeConfig VRFConfig`,
	"v1.14": `BGPInstanceConfig CRIBaseRuntimeSpecConfig CRICustomizationConfig ContainerConfig DiscoveryIdentityConfig
		DiscoveryServiceConfig EtcFileConfig FilesystemScrubConfig FilesystemTrimConfig HTTPProbeConfig ImageCacheConfig
		KernelModuleConfig KubeAPIServerCAConfig KubeAPIServerConfig KubeAdmissionControlConfig KubeAggregatorCAConfig
		KubeAuditPolicyConfig KubeAuthenticationConfig KubeAuthorizerConfig KubeClusterConfig KubeControllerManagerConfig
		KubeCoreDNSConfig KubeCredentialProviderConfig KubeEtcdEncryptionConfig KubeExternalManifestConfig
		KubeFlannelCNIConfig KubeInlineManifestConfig KubeNetworkConfig KubeNodeConfig KubePrismConfig KubeProxyConfig
		KubeSchedulerConfig KubeServiceAccountConfig KubeStaticPodConfig KubeTalosAPIAccessConfig KubeletConfig
		LVMLogicalVolumeConfig LVMVolumeGroupConfig RAIDArrayConfig SecurityProfileConfig SysctlConfig SysfsConfig
		UdevRulesConfig UnattendedInstallConfig VethConfig`,
})

func kindsSince(lists map[string]string) map[string]string {
	since := map[string]string{}

	for version, kinds := range lists {
		for kind := range strings.FieldsSeq(kinds) {
			since[kind] = version
		}
	}

	return since
}

// isAtLeast says whether the node runs this minor version or a newer one. The caller does not hold the lock.
func (n *Node) isAtLeast(minor string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()

	return atLeast(n.version, minor)
}

func atLeast(version, minor string) bool {
	runs, err := config.ParseContractFromVersion(version)
	must(err)
	asked, err := config.ParseContractFromVersion(minor)
	must(err)

	return !asked.Greater(runs)
}

// knows refuses documents that the node's version does not know, in the words with which Talos does.
func (n *Node) knows(provider config.Provider) error {
	for _, document := range provider.Documents() {
		if since := newKinds[document.Kind()]; since != "" && !n.isAtLeast(since) {
			return fmt.Errorf("error decoding document %s/%s/: %q %q: not registered",
				document.APIVersion(), document.Kind(), document.Kind(), document.APIVersion())
		}
	}

	return nil
}

// kubernetesImages are those whose version is Kubernetes'.
func kubernetesImages(running config.Provider) []string {
	images := []string{running.K8sKubeletConfig().Image()}
	if server := running.K8sAPIServerConfig(); server != nil && running.Machine().Type().IsControlPlane() {
		images = append(images, server.Image())
	}

	return images
}

// generateAdmin writes an administrator's kubeconfig. The CA, the name and the endpoint are documents of their own, or
// stand where they stood before there were such.
func generateAdmin(active config.Provider, out io.Writer) error {
	authority, cluster := active.K8sAPIServerCAConfig(), active.K8sClusterConfig()
	if authority == nil || cluster == nil {
		return status.Error(codes.FailedPrecondition, "the configuration has no CA, name or endpoint of Kubernetes")
	}

	return kubeconfig.GenerateAdmin(struct {
		part.ClusterConfig
		part.K8sAPIServerCAConfig
		part.K8sClusterConfig
	}{active.Cluster(), authority, cluster}, out)
}
