package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// checkServer looks at version, JetStream and replicas. layout.replicas stays 0 when there is no use in looking further.
func (b *Bus) checkServer(ctx context.Context) (faults Faults) {
	place := redactURL(b.opts.URL)
	b.layout.replicas = 0
	if v := b.link.nc.ConnectedServerVersion(); versionLess(v, minVersion) {
		faults.add(place, fmt.Sprintf("nats-server %s is too old, Tocsin needs %s", v, minVersion), "upgrade every server of the cluster, or run the server inside Tocsin")
		return faults
	}
	var info *jetstream.AccountInfo
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := patiently(ctx, func(ctx context.Context) (err error) {
		info, err = b.js.AccountInfo(ctx)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		faults.add(place, "JetStream is not enabled for this account", "enable it in the server's configuration: jetstream { store_dir: ... }")
		return faults
	case err != nil:
		faults.add(place, "the server does not say what this account may do: "+cause(err), "grant this key publish on $JS.API.INFO")
		return faults
	case info.API.Level < minAPILevel:
		faults.add(place, fmt.Sprintf("JetStream API level %d is too low, Tocsin needs %d", info.API.Level, minAPILevel), "upgrade every server of the cluster")
		return faults
	}
	clustered := b.link.nc.ConnectedClusterName() != ""
	b.layout.replicas = b.opts.Replicas
	switch {
	case b.opts.Replicas == 0 && clustered:
		b.layout.replicas = 3
	case b.opts.Replicas == 0:
		b.layout.replicas = 1
	case clustered && b.opts.Replicas == 1:
		faults.add("bus.replicas", "one copy in a cluster is lost with its server", "use 3, or leave it out")
	case !clustered && b.opts.Replicas == 3:
		faults.add("bus.replicas", "the server is alone and cannot keep 3 copies", "use 1, or leave it out, or set up a cluster of three")
	}
	return faults
}

// compare finds what on the server differs from the table. It changes nothing.
func (b *Bus) compare(ctx context.Context) (faults Faults) {
	const next = "run `tocsin nats setup` with a key that may change streams"
	missing := map[string]bool{}
	asked := 0
	for _, want := range b.layout.streams() {
		if !b.concerns(want.Name) {
			continue
		}
		asked++
		s, err := withBudget(ctx, func(ctx context.Context) (jetstream.Stream, error) { return b.js.Stream(ctx, want.Name) })
		if err != nil {
			missing[want.Name] = true
			faults.add("stream "+want.Name, lookupFact(err), next)
			continue
		}
		for _, d := range differences(want, s.CachedInfo().Config) {
			faults.add("stream "+want.Name, d, next)
		}
	}
	if len(missing) == asked {
		return Faults{{Place: b.place(), Fact: "none of the streams exists for this account", Next: next}}
	}
	for _, spec := range append(b.layout.consumers(), b.layout.elected()...) {
		if b.roleReads(spec) && !missing[spec.stream] {
			faults = append(faults, b.compareConsumer(ctx, spec, next)...)
		}
	}
	return faults
}

func (b *Bus) compareConsumer(ctx context.Context, spec consumerSpec, next string) (faults Faults) {
	place := "consumer " + spec.stream + "/" + spec.name
	c, err := withBudget(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return b.js.Consumer(ctx, spec.stream, spec.name)
	})
	if err != nil {
		faults.add(place, lookupFact(err), next)
		return faults
	}
	for _, d := range differences(spec.config(), c.CachedInfo().Config) {
		faults.add(place, d, next)
	}
	if _, ahead, err := b.ahead(ctx, spec); err == nil && ahead {
		faults.add(place, "it stands beyond the end of its stream, which has lost messages", next+"; it is set back then")
	}
	return faults
}

func lookupFact(err error) string {
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		return "it does not exist"
	case errors.Is(err, context.DeadlineExceeded):
		return "the server does not answer, as if this key might not ask"
	}
	return cause(err)
}

func withBudget[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return f(ctx)
}

// differences lists where got is not want, field by field under the names of the server's API. Placement, description, metadata and a pause
// are the operator's own.
func differences(want, got any) []string {
	w, g := fields(want), fields(got)
	var out []string
	for k := range g {
		if _, ok := w[k]; !ok {
			w[k] = nil
		}
	}
	for k, v := range w {
		if !reflect.DeepEqual(v, g[k]) {
			out = append(out, fmt.Sprintf("%s is %s, the table has %s", k, show(k, g[k]), show(k, v)))
		}
	}
	slices.Sort(out)
	return out
}

func fields(config any) map[string]any {
	out := map[string]any{}
	b, err := json.Marshal(config)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return map[string]any{"configuration": err.Error()}
	}
	for _, k := range []string{"placement", "description", "metadata", "pause_until", "consumer_limits"} {
		delete(out, k)
	}
	return out
}

func show(key string, v any) string {
	n, ok := v.(float64)
	switch {
	case v == nil:
		return "absent"
	case !ok:
		return fmt.Sprint(v)
	case slices.Contains([]string{"max_age", "duplicate_window", "ack_wait", "priority_timeout", "subject_delete_marker_ttl", "inactive_threshold"}, key):
		return time.Duration(n).String()
	}
	return fmt.Sprintf("%.0f", n)
}
