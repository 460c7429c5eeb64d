// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Package register has Vault's provider alone: the clients of all others are most of what there is to compile.
package register

import (
	_ "github.com/external-secrets/external-secrets/pkg/provider/vault"
)
