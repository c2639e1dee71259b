package bus

import (
	"slices"
	"strings"
)

// RoleStatus may look at streams and consumers and change nothing: for `tocsin nats status` and tools like it.
const RoleStatus = "status"

// roleSpec is one row of the table of rights: what processes of one role do on an external server. A key that may do no more cannot harm what
// belongs to others; a key that may do less is refused at the start.
type roleSpec struct {
	name    string
	stages  []string // whose consumers it works through
	publish []string // subjects of its messages
	sees    []string // streams whose state it looks at, besides those of its stages, readings and buckets
	reads   []string // streams it reads with consumers of its own, which end with it
	looks   []string // streams in which it looks at single messages: WorkQueues for forgotten ones, ALERTS for what stands in the place of a record
	drops   []string // streams it removes single messages of, read by number
	pauses  bool     // consumers of channels
	buckets []bucketRight
}

// bucketRight is what a role does with one bucket. Getting a value by its key is always allowed.
type bucketRight struct {
	bucket string
	keys   []string // it writes; nil: none
	list   bool     // it lists the keys
}

// roles is the table of rights.
var roles = []roleSpec{
	{
		name: "fetcher", stages: []string{StageFetcher},
		publish: []string{"items.*.*", "fetch.schedule.*", "dead.fetcher.*", "alerts.*.tocsin"},
		sees:    []string{streamItems}, looks: []string{streamFetch},
		buckets: []bucketRight{{"feedstate", []string{"*"}, false}, {"health", []string{"process.*", "troubles.fetcher"}, true}},
	},
	{
		name: "matcher", stages: []string{StageMatcher},
		publish: []string{"matches.*", "dead.matcher.*", "alerts.*.tocsin"},
		sees:    []string{streamMatches},
		buckets: []bucketRight{{"watchlists", []string{">"}, false}, {"health", []string{"process.*", "troubles.matcher"}, true}},
	},
	{
		name: "notifier", stages: []string{StageNotifier, StageRouter, StageChannel},
		publish: []string{
			"matches.*", "alerts.*.*", "outbox.due.*.*", "outbox.retry.*.*", "ledger.*.*", "dead.notifier.*", "dead.router.*", "dead.channel.*",
		},
		reads: []string{streamItems, streamMatches, streamAlerts, streamLedger, streamDead}, looks: []string{streamAlerts, streamOutbox}, drops: []string{streamDead}, pauses: true,
		buckets: []bucketRight{
			{"sent", []string{">"}, false},
			{"suppressed", []string{">"}, true},
			{"silences", []string{">"}, false},
			{"health", []string{"process.*", "troubles.notifier", "heartbeats", leadKey}, true},
			{"feedstate", nil, false},
			{"watchlists", nil, false},
		},
	},
}

// readable are the streams that a status page shows. A role that may not read one does without.
var readable = []string{streamItems, streamMatches, streamAlerts, streamLedger, streamDead}

// rolesOf gives the rows for Options.Role; "" has all of them.
func rolesOf(role string) []roleSpec {
	return slices.DeleteFunc(slices.Clone(roles), func(r roleSpec) bool { return role != "" && r.name != role })
}

// knownRole tells whether role may stand in Options.Role.
func knownRole(role string) bool { return role == RoleStatus || len(rolesOf(role)) > 0 }

// concerns tells whether this process has to do with the stream. It may not even see the others.
func (b *Bus) concerns(stream string) bool {
	if b.opts.Role == RoleStatus {
		return true
	}
	return slices.ContainsFunc(rolesOf(b.opts.Role), func(r roleSpec) bool { return slices.Contains(r.streams(), stream) })
}

// roleReads tells whether this process reads from the consumer. Others need not even be visible to it.
func (b *Bus) roleReads(c consumerSpec) bool {
	if b.opts.Role == RoleStatus {
		return true
	}
	return slices.ContainsFunc(rolesOf(b.opts.Role), func(r roleSpec) bool { return slices.Contains(r.stages, c.stage) })
}

// streams are those whose state the role looks at.
func (r roleSpec) streams() []string {
	out := slices.Concat(r.sees, r.reads, r.looks)
	for _, c := range r.durables() {
		out = append(out, c.stream)
	}
	for _, k := range r.buckets {
		out = append(out, "KV_"+k.bucket)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// durables are the durable consumers on a server of several processes, but for those of the channels.
func durables() []consumerSpec {
	return append(slices.Clone(consumers), layout{shared: true}.elected()...)
}

// durables are the consumers that the role works through; those of channels stand as one with the name "*".
func (r roleSpec) durables() (out []consumerSpec) {
	for _, c := range append(durables(), consumerSpec{stream: streamOutbox, name: "*", stage: StageChannel}) {
		if slices.Contains(r.stages, c.stage) {
			out = append(out, c)
		}
	}
	return out
}

// grant is what the user of a role may publish to. A denial goes before what is allowed.
type grant struct{ allow, deny []string }

// role adds the rights of one role as subjects.
func (g *grant) role(r roleSpec) {
	g.add("$JS.API.INFO")
	g.add(r.publish...)
	for _, s := range r.streams() {
		g.add("$JS.API.STREAM.INFO." + s)
	}
	for _, c := range r.durables() {
		at := c.stream + "." + c.name
		g.add("$JS.API.CONSUMER.INFO."+at, "$JS.API.CONSUMER.MSG.NEXT."+at)
		if !c.unacked {
			g.add("$JS.ACK." + at + ".>")
		}
	}
	for _, s := range r.reads {
		g.read(s)
	}
	for _, s := range r.looks {
		g.add("$JS.API.DIRECT.GET." + s)
	}
	for _, s := range r.drops {
		g.add("$JS.API.STREAM.MSG.GET."+s, "$JS.API.STREAM.MSG.DELETE."+s)
	}
	if r.pauses {
		g.add("$JS.API.CONSUMER.PAUSE." + streamOutbox + ".*")
	}
	for _, k := range r.buckets {
		g.add("$JS.API.DIRECT.GET.KV_" + k.bucket + ".>")
		for _, key := range k.keys {
			g.add("$KV." + k.bucket + "." + key)
		}
		if k.list {
			g.add("$JS.API.DIRECT.GET.KV_" + k.bucket)
		}
	}
}

func (g *grant) add(subjects ...string) { g.allow = append(g.allow, subjects...) }

// read allows consumers of the role's own on a stream. Only the notifier has that right, which is more than it says: the server delivers to whatever
// subject the consumer names.
func (g *grant) read(stream string) {
	const api = "$JS.API.CONSUMER."
	g.add(api+"CREATE."+stream+".>", api+"INFO."+stream+".*", api+"MSG.NEXT."+stream+".*", api+"DELETE."+stream+".*")
}

// spare keeps the durable consumers of the table out of reach of those rights: nobody but setup changes or removes one, and nobody takes messages from
// one that is another role's.
func (g *grant) spare(own func(consumerSpec) bool) {
	const api = "$JS.API.CONSUMER."
	for _, c := range durables() {
		at := c.stream + "." + c.name
		if !slices.Contains(g.allow, api+"CREATE."+c.stream+".>") {
			continue
		}
		g.deny = append(g.deny, api+"CREATE."+at, api+"CREATE."+at+".>", api+"DELETE."+at)
		if !own(c) {
			g.deny = append(g.deny, api+"MSG.NEXT."+at)
		}
	}
}

// statusGrant is what RoleStatus may ask.
func statusGrant() grant {
	return grant{allow: []string{
		"$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES", "$JS.API.CONSUMER.INFO.*.*", "$JS.API.CONSUMER.LIST.*", "$JS.API.CONSUMER.NAMES.*",
	}}
}

// grantOf gives the rights for Options.Role.
func grantOf(role string) grant {
	if role == RoleStatus {
		return statusGrant()
	}
	var g grant
	for _, r := range rolesOf(role) {
		g.role(r)
	}
	if role == "" {
		g.add("$KV.health.troubles.*") // named after all roles of the process
	}
	g.spare(func(c consumerSpec) bool {
		return slices.ContainsFunc(rolesOf(role), func(r roleSpec) bool { return slices.Contains(r.stages, c.stage) })
	})
	slices.Sort(g.allow)
	slices.Sort(g.deny)
	return grant{slices.Compact(g.allow), slices.Compact(g.deny)}
}

// inboxOf is the prefix of the subjects under which a process of the role gets its answers: the only ones that it may listen to.
func inboxOf(role string) string {
	if role == "" {
		return "_INBOX_tocsin"
	}
	return "_INBOX_" + role
}

// probe is a subject that stands for a pattern in a trial.
func probe(pattern string) string {
	return strings.ReplaceAll(strings.ReplaceAll(pattern, "*", "probe"), ">", "probe")
}
