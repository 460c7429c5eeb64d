# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a GitOps repository that delivers Secrets, in the shape that the collection is made for.

Files of ESO lie beside the apps, those of VSO in one folder, which the kustomization of another one lists.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.gitopscorpus import DEPLOYMENT, Case

CLUSTER = "clusters/home"
KUSTOMIZATION = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {name}
  namespace: flux-system
spec:
  interval: 10m
  path: ./{path}
  prune: true
  sourceRef: {{kind: GitRepository, name: flux-system}}
"""
CERTIFICATE = """\
# The wildcard certificate, mirrored to who uses it.
apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata:
  name: wildcard
  namespace: vso-system
spec:
  refreshInterval: 1h
  secretStoreRef:
    kind: ClusterSecretStore
    name: tazlab-secrets-vault
  target:
    name: wildcard-tls
    creationPolicy: Owner
    template:
      type: kubernetes.io/tls
      metadata:
        annotations:
          reflector.v1.k8s.emberstack.com/reflection-allowed: "true"
      data:
        tls.crt: "{{ .crt | toString }}"
        tls.key: "{{ .key | toString }}"
  data:
    - secretKey: crt
      remoteRef:
        key: tazlab-k8s/static/ingress/wildcard/CRT
        property: value
    - secretKey: key
      remoteRef:
        key: tazlab-k8s/static/ingress/wildcard/KEY
        property: value
"""
STATIC = """\
apiVersion: secrets.hashicorp.com/v1beta1
kind: VaultStaticSecret
metadata:
  name: web-token
  namespace: apps
spec:
  vaultAuthRef: vso-system/vault-auth
  mount: secret
  type: kv-v2
  path: tazlab-k8s/static/web/TOKEN
  refreshAfter: 30s   # soon
  destination:
    name: web-token
    create: true
    transformation:
      excludes: [".*"]
      templates:
        token:
          text: '{{ get .Secrets "value" }}'
  rolloutRestartTargets:
    - kind: Deployment
      name: web
"""
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: dex
  namespace: auth
spec:
  interval: 1h # often enough
  chart:
    spec:
      chart: dex
      sourceRef: {kind: HelmRepository, name: dex, namespace: flux-system}
"""
LIST = "resources:\n  - ../vso/web-token.yaml # the first\n"


def files() -> dict[str, str]:
    """The files of the repository, path to content."""
    kustomizations = {
        "apps": "apps",
        "auth": "infrastructure/auth",
        "configs": "infrastructure/configs",
        "vso-secrets": "infrastructure/operators/vso-secrets",
    }
    return {
        **{
            f"{CLUSTER}/{name}.yaml": KUSTOMIZATION.format(name=name, path=path)
            for name, path in kustomizations.items()
        },
        "apps/web.yaml": DEPLOYMENT.replace("  name: web\n", "  name: web\n  namespace: apps\n", 1),
        "infrastructure/auth/dex/release.yaml": RELEASE,
        "infrastructure/configs/ingress/externalsecret-wildcard.yaml": CERTIFICATE,
        "infrastructure/operators/vso/web-token.yaml": STATIC,
        "infrastructure/operators/vso-secrets/kustomization.yaml": LIST,
    }


class Checkout:
    """A clone of the example repository."""

    def __init__(self, root: Path, more: Mapping[str, str] | None = None) -> None:
        root.mkdir()
        self.root = Case({**files(), **(more or {})}).write(root)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()

    def git(self, *words: str) -> str:
        settings = ("-c", "user.name=A User", "-c", "user.email=user@example.net", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *settings, *words], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")

    @property
    def changes(self) -> list[str]:
        return self.git("status", "--porcelain", "--untracked-files=all").splitlines()


def _waiting(name: str, path: str, *after: str, more: str = "") -> str:
    """A Flux Kustomization with a hand of its own."""
    waits = "".join(f"    - name: {each}   # first\n" for each in after)
    text = f"# {name}\n{KUSTOMIZATION.format(name=name, path=path)}"
    return f"{text}{more}" + (f"  dependsOn:\n{waits}" if waits else "")


NAMESPACE_LIST = """\
# Whom Flux makes namespaces for.
apiVersion: v1
kind: Namespace
metadata:
  name: external-secrets
---
apiVersion: v1
kind: Namespace
metadata:
  name: "tailscale"
  labels:
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: v1
kind: Namespace
metadata: {name: vso-system}
---
apiVersion: v1
kind: Namespace
metadata: {name: reloader}
---
apiVersion: v1
kind: Namespace
metadata: {name: apps}
"""
HELM_REPOSITORY = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: {name}, namespace: flux-system}}
spec:
  interval: 24h
  url: "{url}"   # a mirror
"""
HELM_RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: {name}
  namespace: {namespace}
spec:
  interval: 30m
  chart:
    spec:
      chart: {chart}
      version: "{version}" # raised by hand
      sourceRef:
        kind: HelmRepository
        name: {repository}
        namespace: flux-system
  install: {{crds: CreateReplace}}
  upgrade: {{crds: CreateReplace}}
{more}"""
ESO_VALUES = """\
  values:
    # never without them
    installCRDs: true
    replicaCount: 2
    crds:
      annotations:
        helm.sh/resource-policy: "keep"
"""
OAUTH = """\
  valuesFrom:
    - kind: Secret
      name: tailscale-operator-oauth
      valuesKey: clientId
      targetPath: oauth.clientId
    - {kind: Secret, name: tailscale-operator-oauth, valuesKey: clientSecret, targetPath: oauth.clientSecret}
"""
STORE = """\
apiVersion: external-secrets.io/v1beta1
kind: ClusterSecretStore
metadata:
  name: tazlab-secrets-vault
spec:
  refreshInterval: 300   # seconds
  provider:
    vault:
      server: "https://vault.example.net:8200"
      path: 'secret'
      version: v2
      auth:
        tokenSecretRef: # seeded
          name: vault-eso-token
          namespace: external-secrets
          key: token
      caProvider:
        type: Secret
        name: vault-ca-cert
        namespace: external-secrets
        key: ca.crt
"""
LOGIN = """\
apiVersion: secrets.hashicorp.com/v1beta1
kind: VaultConnection
metadata: {name: vault-connection, namespace: vso-system}
spec:
  address: https://vault.example.net:8200
  caCertSecretRef: vault-ca-cert
---
apiVersion: secrets.hashicorp.com/v1beta1
kind: VaultAuth
metadata:
  name: vault-auth
  namespace: vso-system
spec:
  vaultConnectionRef: vso-system/vault-connection # the long way
  method: jwt
  mount: jwt
  allowedNamespaces:
    - apps
  jwt:
    role: vso
    serviceAccount: vault
    audiences: ["https://kubernetes.default.svc.cluster.local"]
    tokenExpirationSeconds: 1200
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: vault, namespace: apps}
"""


def operators() -> dict[str, str]:
    """The same repository with the operators in it, as their owner wrote them."""
    folder = "infrastructure/operators"
    found = {
        **files(),
        f"{folder}/namespaces/all.yaml": NAMESPACE_LIST,
        f"{CLUSTER}/infrastructure-operators-namespaces.yaml": _waiting(
            "infrastructure-operators-namespaces", f"{folder}/namespaces"
        ),
        f"{CLUSTER}/configs.yaml": _waiting("configs", "infrastructure/configs", "infrastructure-operators-eso"),
        f"{CLUSTER}/vso-secrets.yaml": _waiting(
            "vso-secrets", f"{folder}/vso-secrets", "infrastructure-operators-vso", "apps"
        ),
        "infrastructure/configs/vault/store.yaml": STORE,
        f"{folder}/vso/login.yaml": LOGIN,
        f"{folder}/vso-secrets/kustomization.yaml": f"{LIST}  - ../vso/login.yaml\n",
    }
    for part, name, namespace, chart, version, more in (
        ("eso", "external-secrets", "external-secrets", "external-secrets", "0.10.3", ESO_VALUES),
        ("vso", "vault-secrets-operator", "vso-system", "vault-secrets-operator", "1.4.0", ""),
        ("reloader", "reloader", "reloader", "reloader", "1.2.1", "  values: {reloader: {watchGlobally: true}}\n"),
        ("tailscale", "tailscale-operator", "tailscale", "tailscale-operator", "1.96.5", OAUTH),
    ):
        release = HELM_RELEASE.format(
            name=name, namespace=namespace, chart=chart, version=version, repository=f"{part}-charts", more=more
        )
        check = (
            "  healthChecks:\n    - apiVersion: helm.toolkit.fluxcd.io/v2\n      kind: HelmRelease\n"
            f"      name: {name}\n      namespace: {namespace}\n"
        )
        found |= {
            f"{CLUSTER}/infrastructure-operators-{part}.yaml": _waiting(
                f"infrastructure-operators-{part}",
                f"{folder}/{part}",
                "infrastructure-operators-namespaces",
                more="  wait: true\n" if part == "eso" else check,
            ),
            f"{folder}/{part}/release.yaml": release,
            f"{folder}/{part}/charts.yaml": HELM_REPOSITORY.format(
                name=f"{part}-charts", url=f"https://charts.example.net/{part}"
            ),
            f"{folder}/{part}/kustomization.yaml": "resources:\n- charts.yaml\n- release.yaml   # last\n",
        }
    return found
