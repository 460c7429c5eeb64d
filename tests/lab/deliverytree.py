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
