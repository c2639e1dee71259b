package bus_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tocsin/bus"
	"tocsin/bus/bustest"
)

// TestBothSidesProveThemselves connects to a server that asks every client for a certificate.
func TestBothSidesProveThemselves(t *testing.T) {
	t.Parallel()
	cert, key := bustest.Certificate(t)
	k := bustest.Keyed(t, nil, func(o *server.Options) {
		conf, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: cert, KeyFile: key, CaFile: cert, Verify: true, Timeout: 5})
		if err != nil {
			t.Fatal(err)
		}
		o.TLSConfig, o.TLSVerify, o.TLSTimeout = conf, true, 5
	})
	good := func(o *bus.Options) {
		k.As(bus.UserAdmin)(o)
		o.URL = strings.Replace(o.URL, "nats://", "tls://", 1)
		o.CAFile, o.CertFile, o.KeyFile, o.Setup = cert, cert, key, true
	}
	b, err := bustest.TryOpen(t, good)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := b.Status(ctxOf(t)); err != nil || !st.SyncKnown {
		t.Errorf("the system account is asked over TLS too: %+v %v", st, err)
	}
	other, otherKey := bustest.Certificate(t)
	for name, change := range map[string]func(*bus.Options){
		"an unknown issuer of the server": func(o *bus.Options) { o.CAFile = other },
		"no certificate of the client":    func(o *bus.Options) { o.CertFile, o.KeyFile = "", "" },
		"an unknown client":               func(o *bus.Options) { o.CertFile, o.KeyFile = other, otherKey },
		"a key of another certificate":    func(o *bus.Options) { o.KeyFile = otherKey },
		"no files":                        func(o *bus.Options) { o.CAFile = cert + ".none" },
	} {
		t.Run(name, func(t *testing.T) {
			contains(t, refused(t, good, change), "no connection", "bus.ca_file, bus.cert_file and bus.key_file")
		})
	}
}
