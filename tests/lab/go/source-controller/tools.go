//go:build tools

// Package lab names what the lab builds, so that go.mod keeps its requirements.
package lab

import _ "github.com/fluxcd/source-controller"
