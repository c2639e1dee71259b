package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlpSink is a collector that keeps what it gets.
type otlpSink struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
	auth  string
}

func openSink(t *testing.T) *otlpSink {
	s := &otlpSink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &req)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			http.Error(w, "not understood", http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.auth = r.Header.Get("X-Key")
		for _, rs := range req.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				s.spans = append(s.spans, ss.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *otlpSink) all() []*otlp.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*otlp.Span(nil), s.spans...)
}

// TestOneTraceFromPollToDelivery exports to a collector and wants, for an alert that was delivered, one trace whose spans follow each other from the
// item's fetch to the delivery, each below the one before, and a link to the poll that brought the item.
func TestOneTraceFromPollToDelivery(t *testing.T) {
	sink, b := openSink(t), openBeat(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
	dir := t.TempDir()
	text, err := os.ReadFile(beatConfig(t, dir, "127.0.0.1:0", b.goodFeeds(1), "", "  route: {channels: [good]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	openWithin(t, dir, string(text))
	want := []string{"fetch item", "match item", "raise alert", "route alert", "deliver"}
	var chain []*otlp.Span
	waitFor(t, time.Minute, "a delivery in the traces", func() bool {
		chain = longestChain(sink.all())
		return len(chain) >= len(want)
	})
	for i, s := range chain {
		if s.GetName() != want[i] || hex.EncodeToString(s.GetTraceId()) != hex.EncodeToString(chain[0].GetTraceId()) {
			t.Errorf("span %d is %q of trace %x, want %q of %x", i, s.GetName(), s.GetTraceId(), want[i], chain[0].GetTraceId())
		}
	}
	if len(chain[0].GetParentSpanId()) != 0 || len(chain[0].GetLinks()) != 1 {
		t.Errorf("the item's span has parent %x and %d links", chain[0].GetParentSpanId(), len(chain[0].GetLinks()))
	}
	if len(chain[0].GetLinks()) == 1 {
		poll := hex.EncodeToString(chain[0].GetLinks()[0].GetSpanId())
		waitFor(t, time.Minute, "the poll that is linked", func() bool { // it ends after its items may have been delivered
			return slices.ContainsFunc(sink.all(), func(s *otlp.Span) bool {
				return s.GetName() == "poll feed" && hex.EncodeToString(s.GetSpanId()) == poll
			})
		})
	}
	sink.mu.Lock()
	defer sink.mu.Unlock()
	if sink.auth != "secret" {
		t.Errorf("header of the environment: %q", sink.auth)
	}
}

// longestChain follows parents up from a delivery.
func longestChain(spans []*otlp.Span) []*otlp.Span {
	byID := map[string]*otlp.Span{}
	for _, s := range spans {
		byID[string(s.GetSpanId())] = s
	}
	var best []*otlp.Span
	for _, s := range spans {
		if s.GetName() != "deliver" {
			continue
		}
		var chain []*otlp.Span
		for at := s; at != nil; at = byID[string(at.GetParentSpanId())] {
			chain = append([]*otlp.Span{at}, chain...)
		}
		if len(chain) > len(best) {
			best = chain
		}
	}
	return best
}

func TestTracingIsOffByDefault(t *testing.T) {
	for _, key := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		t.Setenv(key, "")
	}
	if x, err := openTracing(t.Context()); x != nil || err != nil {
		t.Errorf("tracing without an endpoint: %v, %v", x, err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if x, err := openTracing(t.Context()); x != nil || err != nil {
		t.Errorf("tracing although it is disabled: %v, %v", x, err)
	}
}
