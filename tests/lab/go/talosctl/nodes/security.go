// Copyright: (c) 2026, the tazlab.bootstrap contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/tls"
	stdx509 "crypto/x509"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/siderolabs/crypto/x509"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/siderolabs/talos/pkg/machinery/role"
)

const lifetime = 24 * time.Hour

// security is what the API shows and asks for: in maintenance mode a certificate that nobody signed and nothing asked,
// else one of the cluster's CA and a client certificate of it. It is nil while nobody can sign.
func (n *Node) security() (*tls.Config, error) {
	active := n.active()
	if active == nil {
		return n.maintenanceSecurity()
	}

	security := active.Machine().Security()

	ca := security.IssuingCA() // a worker's has no key
	if ca == nil || len(ca.Key) == 0 {
		ca = n.fleet.issuer(active)
	}

	if ca == nil {
		return nil, nil //nolint:nilnil
	}

	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(ca)
	if err != nil {
		return nil, err
	}

	clients := stdx509.NewCertPool()
	clients.AppendCertsFromPEM(ca.Crt)

	for _, accepted := range security.AcceptedCAs() {
		clients.AppendCertsFromPEM(accepted.Crt)
	}

	n.mu.Lock()
	names := []string{n.hostname()}
	n.mu.Unlock()

	addresses := []net.IP{net.ParseIP(n.address)}

	for _, name := range security.CertSANs() {
		if address := net.ParseIP(name); address != nil {
			addresses = append(addresses, address)
		} else {
			names = append(names, name)
		}
	}

	certificate, err := n.issue(authority, names, addresses)
	if err != nil {
		return nil, err
	}

	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
		NextProtos:   []string{"h2"},
	}, nil
}

func (n *Node) maintenanceSecurity() (*tls.Config, error) {
	authority, err := x509.NewSelfSignedCertificateAuthority(x509.NotAfter(time.Now().Add(lifetime)))
	if err != nil {
		return nil, err
	}

	certificate, err := n.issue(authority, []string{"maintenance-service.talos.dev"}, []net.IP{net.ParseIP(n.address)})
	if err != nil {
		return nil, err
	}

	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{"h2"},
	}, nil
}

func (n *Node) issue(authority *x509.CertificateAuthority, names []string, addresses []net.IP) (tls.Certificate, error) {
	pair, err := x509.NewKeyPair(authority,
		x509.CommonName(n.name),
		x509.DNSNames(names),
		x509.IPAddresses(addresses),
		x509.NotAfter(time.Now().Add(lifetime)),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth, stdx509.ExtKeyUsageClientAuth}),
	)
	if err != nil {
		return tls.Certificate{}, err
	}

	return *pair.Certificate, nil
}

// meant lets administrators in. It is what serves a request: nil where that is this node, else what another one serves,
// to which a control plane passes on what is meant for that alone.
func (n *Node) meant(ctx context.Context, method string) (any, error) {
	caller, _ := peer.FromContext(ctx)

	if info, ok := caller.AuthInfo.(credentials.TLSInfo); !ok ||
		!slices.Contains(info.State.PeerCertificates[0].Subject.Organization, string(role.Admin)) {
		return nil, status.Error(codes.PermissionDenied, "not authorized")
	}

	asked, _ := metadata.FromIncomingContext(ctx)

	nodes := append(asked.Get("nodes"), asked.Get("node")...)
	if len(nodes) == 0 || (len(nodes) == 1 && nodes[0] == n.address) {
		return nil, nil //nolint:nilnil
	}

	if len(nodes) > 1 || !n.active().Machine().Type().IsControlPlane() {
		return nil, status.Errorf(codes.Unavailable, "STAND-IN: node %s does not pass this on to %v", n.address, nodes)
	}

	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	if served := n.fleet.served(nodes[0], service); served != nil {
		return served, nil
	}

	return nil, status.Errorf(codes.Unavailable, "connection error: dial tcp %s: no route to host", nodes[0])
}

func (n *Node) checkUnary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	other, err := n.meant(ctx, info.FullMethod)
	if err != nil || other == nil {
		if err != nil {
			return nil, err
		}

		return handler(ctx, request)
	}

	_, name, _ := strings.Cut(strings.TrimPrefix(info.FullMethod, "/"), "/")
	answer := reflect.ValueOf(other).MethodByName(name).Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(request)})
	err, _ = answer[1].Interface().(error)

	return answer[0].Interface(), err
}

func (n *Node) checkStream(
	service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	other, err := n.meant(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}

	if other != nil {
		service = other
	}

	return handler(service, stream)
}
