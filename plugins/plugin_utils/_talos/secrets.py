# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talos' secrets: generated once, with the bundle's secretbox key in them, and never again.

Private: other collections must not import it.
"""

from __future__ import annotations

import base64
import datetime
import re
import typing as t
from collections.abc import Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.keys import LACKS_CRYPTOGRAPHY, SigningKey
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.paths import differing, leaves
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, mapping
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import main_document
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Private, Talosctl, TalosctlError

# A client certificate of Talos and Kubernetes lives a year. It is replaced when no more than this is left.
RENEW_BEFORE = datetime.timedelta(days=30)

_SECRETBOX = re.compile(rb"(?m)^(\s+secretboxencryptionsecret:)[ \t]+\S+[ \t]*$")


def generate(talosctl: Talosctl, contract: str, secretbox_key: str) -> bytes:
    """A new cluster's secrets, in the form of C(talosctl gen secrets), with this secretbox key."""
    generated = talosctl.run("gen", "secrets", "--talos-version", contract, "--output-file", "-")
    secrets, count = _SECRETBOX.subn(lambda found: found[1] + b" " + secretbox_key.encode(), generated)
    if count != 1:
        raise BootstrapError(
            "talosctl gen secrets printed no secretbox key to replace. Install a talosctl of the cluster's version."
        )
    return secrets


def read(content: bytes, place: str) -> dict[str, t.Any]:
    """The content of a secrets.yaml, as far as it can be told to be whole."""
    try:
        secrets = mapping(content)
        for part in (secrets["certs"]["os"]["crt"], secrets["certs"]["k8s"]["key"], secrets["cluster"]["secret"]):
            base64.b64decode(part, validate=True)
    except (NotYaml, KeyError, TypeError, ValueError):
        raise BootstrapError(
            f"{place} is not whole: it is not the output of talosctl gen secrets. It holds the cluster's identity and "
            "is never made anew; restore it from your backup."
        ) from None
    return secrets


def difference(content: bytes, place: str, secretbox_key: str) -> Problem | None:
    """Why this secretbox key must not be used with these secrets, if it must not."""
    stored = read(content, place).get("secrets", {}).get("secretboxencryptionsecret")
    if stored == secretbox_key:
        return None
    return Problem(
        "secretbox_differs",
        "",
        f"The bundle's secretbox key is not the one in {place}, with which the cluster was born. What etcd holds is "
        "encrypted with the first, and another key on a running cluster destroys it.",
        f"Put the old key back into the bundle; or, where the cluster is to be born anew, delete its VMs and then "
        f"{place}.",
    )


def from_configuration(talosctl: Talosctl, config: bytes, place: str) -> bytes:
    """The secrets that a control plane's machine configuration holds, in the form of secrets.yaml."""
    try:
        machine = main_document(config).get("machine") or {}
    except NotYaml as error:
        raise BootstrapError(f"{place} is not YAML ({error}).") from None
    if not isinstance(machine, Mapping) or machine.get("type") != "controlplane":
        raise BootstrapError(
            f"{place} is not the machine configuration of a control plane. Only that holds all of a cluster's secrets: "
            "talosctl get machineconfig v1alpha1 --output jsonpath={.spec}"
        )
    try:
        return talosctl.run("gen", "secrets", "--from-controlplane-config", Private(config), "--output-file", "-")
    except TalosctlError as error:
        raise BootstrapError(f"{place}: its secrets cannot be taken out of it: {error}") from None


def other_keys(one: bytes, other: bytes) -> list[str]:
    """The paths at which two secrets.yaml differ; never a value."""
    return differing(dict(leaves(mapping(one))), dict(leaves(mapping(other))))


def authority(content: bytes, place: str) -> str:
    """The CA of the Talos API, as talosconfig carries it."""
    return str(read(content, place)["certs"]["os"]["crt"])


def accounts_key(content: bytes, place: str) -> SigningKey:
    """The key with which the cluster signs its service accounts' tokens: known before the cluster exists."""
    try:
        return SigningKey(base64.b64decode(read(content, place)["certs"]["k8sserviceaccount"]["key"], validate=True))
    except (KeyError, TypeError, ValueError):
        why = "is not there"
    except InvalidValue as error:
        why = str(error)
    raise BootstrapError(
        f"{place}: the service accounts' key (certs.k8sserviceaccount.key) {why}. It is part of the cluster's "
        "identity, which is never made anew; restore the file from your backup."
    )


def expires_soon(certificate: str, now: datetime.datetime) -> bool:
    """Whether a certificate (base64 of PEM) is worth replacing, since it ends soon or cannot be read."""
    try:
        from cryptography import x509
    except ImportError:
        raise BootstrapError(LACKS_CRYPTOGRAPHY) from None
    try:
        end = x509.load_pem_x509_certificate(base64.b64decode(certificate, validate=True)).not_valid_after_utc
    except ValueError:
        return True
    return end - now < RENEW_BEFORE
