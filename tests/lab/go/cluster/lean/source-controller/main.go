// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Flux' source-controller with its reconciler of Git repositories alone: the lab has no Helm charts, buckets or OCI
// registries, and their clients are more than half of what there is to compile.
package main

import (
	"os"
	"time"

	flag "github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcfg "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	artcfg "github.com/fluxcd/pkg/artifact/config"
	artdigest "github.com/fluxcd/pkg/artifact/digest"
	artsrv "github.com/fluxcd/pkg/artifact/server"
	artstore "github.com/fluxcd/pkg/artifact/storage"
	"github.com/fluxcd/pkg/runtime/client"
	helper "github.com/fluxcd/pkg/runtime/controller"
	"github.com/fluxcd/pkg/runtime/events"
	feathelper "github.com/fluxcd/pkg/runtime/features"
	"github.com/fluxcd/pkg/runtime/jitter"
	"github.com/fluxcd/pkg/runtime/leaderelection"
	"github.com/fluxcd/pkg/runtime/logger"
	"github.com/fluxcd/pkg/runtime/metrics"
	"github.com/fluxcd/pkg/runtime/probes"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/fluxcd/source-controller/internal/controller"
	"github.com/fluxcd/source-controller/internal/features"
)

const name = "source-controller"

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
	var (
		metricsAddr, eventsAddr, healthAddr string
		concurrent                          int
		requeueDependency                   time.Duration
		artifacts                           artcfg.Options
		clients                             client.Options
		logs                                logger.Options
		election                            leaderelection.Options
		limits                              helper.RateLimiterOptions
		gates                               feathelper.FeatureGates
		watch                               helper.WatchOptions
		jitters                             jitter.IntervalOptions
	)

	flag.StringVar(&metricsAddr, "metrics-addr", ":8080", "where metrics are served")
	flag.StringVar(&eventsAddr, "events-addr", "", "where events go")
	flag.StringVar(&healthAddr, "health-addr", ":9440", "where probes are answered")
	flag.IntVar(&concurrent, "concurrent", 2, "reconciliations at a time")
	flag.DurationVar(&requeueDependency, "requeue-dependency", 30*time.Second, "when a dependency is looked at again")
	artifacts.BindFlags(flag.CommandLine)
	clients.BindFlags(flag.CommandLine)
	logs.BindFlags(flag.CommandLine)
	election.BindFlags(flag.CommandLine)
	limits.BindFlags(flag.CommandLine)
	gates.BindFlags(flag.CommandLine)
	watch.BindFlags(flag.CommandLine)
	jitters.BindFlags(flag.CommandLine)
	flag.Parse()

	logger.SetLogger(logger.NewLogger(logs))
	must(0, gates.WithLogger(log).SupportedFeatures(features.FeatureGates()))
	must(0, jitters.SetGlobalJitter(nil))

	scheme := runtime.NewScheme()
	must(0, clientgoscheme.AddToScheme(scheme))
	must(0, sourcev1.AddToScheme(scheme))

	manager := must(ctrl.NewManager(client.GetConfigOrDie(clients), ctrl.Options{
		Scheme:                 scheme,
		HealthProbeBindAddress: healthAddr,
		LeaderElection:         election.Enable,
		LeaderElectionID:       name + "-leader-election",
		Logger:                 ctrl.Log,
		Client: ctrlclient.Options{
			Cache: &ctrlclient.CacheOptions{DisableFor: []ctrlclient.Object{&corev1.Secret{}, &corev1.ConfigMap{}}},
		},
		Cache: ctrlcache.Options{
			ByObject: map[ctrlclient.Object]ctrlcache.ByObject{
				&sourcev1.GitRepository{}: {Label: must(helper.GetWatchSelector(watch))},
			},
		},
		Metrics:    metricsserver.Options{BindAddress: metricsAddr},
		Controller: ctrlcfg.Controller{MaxConcurrentReconciles: concurrent},
	}))
	probes.SetupChecks(manager, log)

	artdigest.Canonical = must(artdigest.AlgorithmForName(artifacts.ArtifactDigestAlgo))
	reconciler := &controller.GitRepositoryReconciler{
		Client:         manager.GetClient(),
		EventRecorder:  must(events.NewRecorder(manager, ctrl.Log, eventsAddr, name)),
		Metrics:        helper.NewMetrics(manager, metrics.MustMakeRecorder(), sourcev1.SourceFinalizer),
		Storage:        must(artstore.New(&artifacts)),
		ControllerName: name,
	}
	must(0, reconciler.SetupWithManagerAndOptions(manager, controller.GitRepositoryReconcilerOptions{
		DependencyRequeueInterval: requeueDependency,
		RateLimiter:               helper.GetRateLimiter(limits),
	}))

	ctx := ctrl.SetupSignalHandler()

	go func() {
		<-manager.Elected()
		must(0, artsrv.Start(ctx, &artifacts))
	}()

	must(0, manager.Start(ctx))
}
