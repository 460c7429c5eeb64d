// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build tools

// Package lab pins the Vault Secrets Operator. `go mod tidy` keeps it by this import.
package lab

import (
	_ "github.com/hashicorp/vault-secrets-operator"
)
