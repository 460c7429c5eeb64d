// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The External Secrets Operator with what the lab needs of it: its own controllers of the two kinds of stores and of
// ExternalSecrets, and a probe that answers once they work, which the operator's own program lacks.
package main

import (
	"errors"
	"flag"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	esv1beta1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1beta1"
	genv1alpha1 "github.com/external-secrets/external-secrets/apis/generators/v1alpha1"
	"github.com/external-secrets/external-secrets/pkg/controllers/externalsecret"
	"github.com/external-secrets/external-secrets/pkg/controllers/externalsecret/esmetrics"
	ctrlmetrics "github.com/external-secrets/external-secrets/pkg/controllers/metrics"
	"github.com/external-secrets/external-secrets/pkg/controllers/secretstore"
	"github.com/external-secrets/external-secrets/pkg/controllers/secretstore/cssmetrics"
	"github.com/external-secrets/external-secrets/pkg/controllers/secretstore/ssmetrics"
	"github.com/external-secrets/external-secrets/pkg/feature"
)

// The operator's own defaults.
const (
	class  = "default"
	stores = 5 * time.Minute
	others = time.Hour
)

var log = ctrl.Log.WithName("setup")

// must ends the program where something that it cannot do without has failed.
func must[T any](value T, err error) T {
	if err != nil {
		log.Error(err, "cannot start")
		os.Exit(1)
	}

	return value
}

func main() {
	health := flag.String("health-addr", ":8081", "where the probe is answered")
	flag.Parse()

	ctrl.SetLogger(zap.New())
	ctrlmetrics.SetUpLabelNames(false)
	esmetrics.SetUpMetrics()
	ssmetrics.SetUpMetrics()
	cssmetrics.SetUpMetrics()

	scheme := runtime.NewScheme()
	must(0, clientgoscheme.AddToScheme(scheme))
	must(0, esv1beta1.AddToScheme(scheme))
	must(0, genv1alpha1.AddToScheme(scheme))

	manager := must(ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:                 scheme,
		HealthProbeBindAddress: *health,
		Metrics:                server.Options{BindAddress: "0"},
		Client: client.Options{
			Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}},
		},
	}))
	must(0, manager.AddReadyzCheck("caches", func(*http.Request) error {
		select {
		case <-manager.Elected(): // it comes after the caches are filled
			return nil
		default:
			return errors.New("the caches are not filled yet")
		}
	}))

	one := controller.Options{MaxConcurrentReconciles: 1}
	must(0, (&secretstore.StoreReconciler{
		Client:          manager.GetClient(),
		Log:             ctrl.Log.WithName("SecretStore"),
		Scheme:          scheme,
		ControllerClass: class,
		RequeueInterval: stores,
	}).SetupWithManager(manager, one))
	must(0, (&secretstore.ClusterStoreReconciler{
		Client:          manager.GetClient(),
		Log:             ctrl.Log.WithName("ClusterSecretStore"),
		Scheme:          scheme,
		ControllerClass: class,
		RequeueInterval: stores,
	}).SetupWithManager(manager))
	must(0, (&externalsecret.Reconciler{
		Client:                    manager.GetClient(),
		Log:                       ctrl.Log.WithName("ExternalSecret"),
		Scheme:                    scheme,
		RestConfig:                manager.GetConfig(),
		ControllerClass:           class,
		RequeueInterval:           others,
		ClusterSecretStoreEnabled: true,
		EnableFloodGate:           true,
	}).SetupWithManager(manager, one))

	for _, each := range feature.Features() {
		if each.Initialize != nil {
			each.Initialize()
		}
	}

	must(0, manager.Start(ctrl.SetupSignalHandler()))
}
