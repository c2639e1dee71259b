package bus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
)

const headerTrace = "traceparent" // W3C Trace Context, https://www.w3.org/TR/trace-context/

type (
	traceKey struct{}
	ownKey   struct{}
)

// WithSpan returns a context whose publishes carry this traceparent as it is: its parent id names a span that somebody records.
func WithSpan(ctx context.Context, traceparent string) context.Context {
	if !validTrace(traceparent) {
		return ctx
	}
	return context.WithValue(WithTrace(ctx, traceparent), ownKey{}, traceparent)
}

// NewTrace returns a context whose publishes begin traces of their own.
func NewTrace(ctx context.Context) context.Context { return context.WithValue(ctx, traceKey{}, "") }

// WithTrace returns a context whose publishes carry this traceparent. Handlers get such a context already, with that of their message.
func WithTrace(ctx context.Context, traceparent string) context.Context {
	if !validTrace(traceparent) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, traceparent)
}

// Trace gives the traceparent of ctx, "" when there is none.
func Trace(ctx context.Context) string {
	s, _ := ctx.Value(traceKey{}).(string)
	return s
}

// nextTrace is what a message published under ctx carries: the same trace with a new parent id, or a new trace.
func nextTrace(ctx context.Context) string {
	if own, _ := ctx.Value(ownKey{}).(string); own != "" && own == Trace(ctx) {
		return own
	}
	trace, flags := randomHex(16), "01"
	if p := strings.Split(Trace(ctx), "-"); len(p) == 4 {
		trace, flags = p[1], p[3]
	}
	return "00-" + trace + "-" + randomHex(8) + "-" + flags
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}

// validTrace accepts version 00: 2, 32, 16 and 2 lower-case hex digits, the ids not all zero.
func validTrace(s string) bool {
	p := strings.Split(s, "-")
	if len(p) != 4 || p[0] != "00" || len(p[1]) != 32 || len(p[2]) != 16 || len(p[3]) != 2 {
		return false
	}
	for _, part := range p {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return false
		}
	}
	return strings.Trim(p[1], "0") != "" && strings.Trim(p[2], "0") != ""
}
