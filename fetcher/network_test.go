package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNetworkFaultsHaveTheirReasons(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	plain := newSite(t, "")
	for name, c := range map[string]struct {
		url    string
		want   Reason
		detail string
	}{
		"unknown issuer":   {secure.URL, ReasonTLS, "ca_file"},
		"nobody listens":   {"http://" + closed.Addr().String() + "/", ReasonConnect, "refused"},
		"no such name":     {"http://no-such-host.invalid/", ReasonDNS, "no address"},
		"http as https":    {strings.Replace(plain.URL, "http:", "https:", 1), ReasonTLS, ""},
		"address unusable": {"http://[::1", ReasonRedirect, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, Feed{URL: c.url})
			r.poll(0)
			if st := r.state(0); st.Reason != c.want || !strings.Contains(st.Error, c.detail) {
				t.Errorf("reason %s: %s", st.Reason, st.Error)
			}
		})
	}
}

// guarded refuses link-local addresses in the dialer's Control hook, as the program's guard does.
func guarded(o *Options) {
	o.Client = func(Feed) (*http.Client, error) {
		d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
			if host, _, _ := net.SplitHostPort(address); net.ParseIP(host).IsLinkLocalUnicast() {
				return fmt.Errorf("address %s is denied", host)
			}
			return nil
		}}
		return &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableCompression: true}}, nil
	}
}

func TestRedirectToTheMetadataServiceIsDenied(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	})
	r := newRig(t, guarded, Feed{URL: s.URL})
	r.poll(0)
	if st := r.state(0); st.Reason != ReasonDenied || !strings.Contains(st.Error, "169.254.169.254") || st.Failures != 1 {
		t.Errorf("reason %s: %s", st.Reason, st.Error)
	}
}

func TestSlowServersEnd(t *testing.T) {
	stop := make(chan struct{})
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   Reason
	}{
		"no headers": {func(_ http.ResponseWriter, q *http.Request) {
			select {
			case <-q.Context().Done():
			case <-stop:
			}
		}, ReasonTimeout},
		"slow loris": {func(w http.ResponseWriter, q *http.Request) {
			for i := 0; q.Context().Err() == nil; i++ {
				_, _ = io.WriteString(w, "<")
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		}, ReasonTooSlow},
		"never begins": {func(w http.ResponseWriter, q *http.Request) {
			w.(http.Flusher).Flush()
			<-q.Context().Done()
		}, ReasonTooSlow},
		"never ends": {func(w http.ResponseWriter, q *http.Request) {
			line := strings.Repeat("<item><title>again</title></item>", 32)
			_, _ = io.WriteString(w, "<rss><channel>")
			for q.Context().Err() == nil {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		}, ReasonTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			s.handle(c.answer)
			r := newRig(t, nil, Feed{URL: s.URL, Timeout: 300 * time.Millisecond, MaxBytes: 1 << 20})
			if c.want == ReasonTooBig {
				r = newRig(t, nil, Feed{URL: s.URL, MaxBytes: 4 << 20})
			}
			start := time.Now()
			r.poll(0)
			if st := r.state(0); st.Reason != c.want || len(r.items) != 0 {
				t.Errorf("reason %s: %s; %d items", st.Reason, st.Error, len(r.items))
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
	close(stop)
}

func TestShutdownIsNoFaultOfTheFeed(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	r := newRig(t, nil, Feed{URL: s.URL})
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := r.f.Poll(ctx, r.id(0)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if r.saves != 0 || len(r.armed) != 0 {
		t.Errorf("%d saves, %d armed", r.saves, len(r.armed))
	}
}

func TestOurOwnNetworkDownCountsAgainstNobody(t *testing.T) {
	var feeds []Feed
	for i := range 14 {
		feeds = append(feeds, Feed{URL: fmt.Sprintf("http://h%d.invalid/rss", i)})
	}
	r := newRig(t, worldClient(nil), feeds...)
	for i := range feeds {
		if err := r.f.Poll(context.Background(), r.id(i)); err != nil {
			t.Fatal(err)
		}
	}
	if st := r.state(0); st.Failures != 1 {
		t.Errorf("the first feed has %d failures: nobody knew yet", st.Failures)
	}
	if st := r.state(13); st.Failures != 0 || st.Reason != ReasonDNS || !strings.Contains(st.Error, "our own network") {
		t.Errorf("the last feed has %d failures, %s: %s", st.Failures, st.Reason, st.Error)
	}
	if !r.f.NetworkDown() {
		t.Error("NetworkDown is false")
	}
}
