package fetcher

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test program a server of unchanged feeds when a benchmark has started it as one.
func TestMain(m *testing.M) {
	if os.Getenv("TOCSIN_BENCH_SERVER") != "" {
		if err := serveUnchanged(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveUnchanged answers 304 to who knows the feed, over HTTP and over TLS with a certificate of ECDSA P-256, until its input ends.
func serveUnchanged() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	srv := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("ETag", `"a"`)
			if q.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, oneItem(1))
		}),
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = srv.Serve(plain) }()
	go func() { _ = srv.ServeTLS(secure, "", "") }()
	fmt.Printf("%s %s %s\n", plain.Addr(), secure.Addr(), base64.StdEncoding.EncodeToString(der))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// unchanged is a server of unchanged feeds in a process of its own.
type unchanged struct {
	plain, secure string // addresses
	roots         *x509.CertPool
}

func startUnchanged(b *testing.B) unchanged {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), "TOCSIN_BENCH_SERVER=1"), os.Stderr
	in, err := c.StdinPipe()
	must(err)
	out, err := c.StdoutPipe()
	must(err)
	must(c.Start())
	b.Cleanup(func() { // it ends with its input
		if err := in.Close(); err != nil {
			b.Error(err)
		}
		if err := c.Wait(); err != nil {
			b.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(err)
	f := strings.Fields(line)
	if len(f) != 3 {
		b.Fatalf("the server says %q", line)
	}
	der, err := base64.StdEncoding.DecodeString(f[2])
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return unchanged{"http://" + f[0] + "/feed", "https://" + f[1] + "/feed", pool}
}
