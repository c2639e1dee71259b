package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"tocsin/bus"
	"tocsin/news"
)

// tracing exports spans over OTLP. It is nil, and costs nothing, unless the environment names an endpoint; messages carry a traceparent all the same.
type tracing struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
}

// openTracing reads the standard environment variables of OpenTelemetry: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT switch it
// on, OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES and OTEL_BSP_* mean what they mean everywhere.
func openTracing(ctx context.Context) (*tracing, error) {
	endpoint := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if endpoint == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	anywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")} // the operator names the endpoint, on this machine mostly
	client, err := newGuard(anywhere).client("", 10*time.Second)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("export traces as OTEL_EXPORTER_OTLP_* say: %w", err)
	}
	own, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "tocsin"), attribute.String("service.version", programVersion())), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(own))
	return &tracing{p, p.Tracer("tocsin")}, nil
}

// close exports what is left.
func (t *tracing) close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// span begins a span below that of ctx's message. Publishes under the context that it gives belong to it.
func (t *tracing) span(ctx context.Context, name string, o ...oteltrace.SpanStartOption) (context.Context, oteltrace.Span) {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": bus.Trace(ctx)})
	ctx, s := t.tracer.Start(ctx, name, o...)
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return bus.WithSpan(ctx, carrier["traceparent"]), s
}

func finish(s oteltrace.Span, err error) {
	if later := (*news.LaterError)(nil); err != nil && !errors.As(err, &later) {
		s.SetStatus(codes.Error, err.Error())
	}
	s.End()
}

// traced runs each message of a stage in a span of its own.
func traced[T any](t *tracing, name string, about func(*T) []attribute.KeyValue, h func(context.Context, T) error) func(context.Context, T) error {
	if t == nil {
		return h
	}
	return func(ctx context.Context, v T) (err error) {
		ctx, s := t.span(ctx, name, oteltrace.WithSpanKind(oteltrace.SpanKindConsumer), oteltrace.WithAttributes(about(&v)...))
		defer func() { finish(s, err) }()
		return h(ctx, v)
	}
}

// tracedItem begins the trace of each item where it is stored: it leads to all that becomes of the item, and links to the poll that brought it.
func tracedItem(t *tracing, publish func(context.Context, news.Item) error) func(context.Context, news.Item) error {
	if t == nil {
		return func(ctx context.Context, it news.Item) error { return publish(bus.NewTrace(ctx), it) }
	}
	return func(ctx context.Context, it news.Item) (err error) {
		ctx, s := t.span(bus.NewTrace(ctx), "fetch item", oteltrace.WithNewRoot(), oteltrace.WithTimestamp(it.FirstSeen), oteltrace.WithSpanKind(oteltrace.SpanKindProducer),
			oteltrace.WithLinks(oteltrace.LinkFromContext(ctx)), oteltrace.WithAttributes(aboutItem(&it)...))
		defer func() { finish(s, err) }()
		return publish(ctx, it)
	}
}

func aboutFeed(id *string) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("tocsin.feed", *id)}
}

func aboutItem(it *news.Item) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("tocsin.feed", it.Feed), attribute.String("tocsin.item", it.ID)}
}

func aboutMatch(m *news.Match) []attribute.KeyValue {
	return append(aboutItem(&m.Item), attribute.String("tocsin.watchlist", m.Watchlist))
}

func aboutAlert(a *news.Alert) []attribute.KeyValue {
	return append(aboutItem(&a.Match.Item), attribute.String("tocsin.watchlist", a.Watchlist), attribute.String("tocsin.alert", a.ID))
}

func aboutDelivery(d *news.Delivery) []attribute.KeyValue {
	out := []attribute.KeyValue{attribute.String("tocsin.channel", d.Channel), attribute.String("tocsin.delivery", d.ID)}
	for _, a := range d.Alerts {
		out = append(out, attribute.String("tocsin.alert", a.ID))
	}
	return out
}
