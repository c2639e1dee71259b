package fetcher

import (
	"errors"
	"fmt"
	"time"
)

// Reason says why a poll brought no items, or fewer than it should. It is a closed list: it is a label of a metric and a field of the state.
type Reason string

// The reasons. Nothing else is ever counted or stored.
const (
	ReasonDNS            Reason = "dns"             // the host's name was not resolved
	ReasonConnect        Reason = "connect"         // no connection, or one that broke before the headers
	ReasonTLS            Reason = "tls"             // handshake or certificate
	ReasonTimeout        Reason = "timeout"         // no headers in time
	ReasonTooBig         Reason = "too_big"         // body over the limit after decompression
	ReasonTooSlow        Reason = "too_slow"        // headers came, the body did not end in time
	Reason4xx            Reason = "status_4xx"      // a client error status without a reason of its own
	Reason5xx            Reason = "status_5xx"      // a server error status without a reason of its own
	ReasonThrottled      Reason = "throttled"       // 429 and 503
	ReasonBlocked        Reason = "blocked"         // 401, 403, 451 or a bot challenge
	ReasonGone           Reason = "gone"            // 410: polling stops
	ReasonDenied         Reason = "denied_address"  // an address or port that the guard refuses
	ReasonRedirect       Reason = "redirect"        // a loop, too many hops, an unusable target
	ReasonCoding         Reason = "coding"          // a content coding that we did not ask for, or a false one
	ReasonEmpty          Reason = "empty"           // no document: no body, or a status that carries none
	ReasonNotFeed        Reason = "not_feed"        // a document, but no feed
	ReasonRefusedNesting Reason = "refused_nesting" // nested elements, namespaces or text beyond the limits
	ReasonRefusedSize    Reason = "refused_size"    // more elements or attributes than the limits allow
	ReasonEncoding       Reason = "encoding"        // bytes that no known encoding explains
	ReasonUnparseable    Reason = "unparseable"     // broken beyond repair
	ReasonCut            Reason = "cut"             // the document ended too early
)

// Reasons lists every reason, for metrics, tests and documentation.
func Reasons() []Reason {
	return []Reason{
		ReasonDNS, ReasonConnect, ReasonTLS, ReasonTimeout, ReasonTooBig, ReasonTooSlow, Reason4xx, Reason5xx, ReasonThrottled,
		ReasonBlocked, ReasonGone, ReasonDenied, ReasonRedirect, ReasonCoding, ReasonEmpty, ReasonNotFeed, ReasonRefusedNesting,
		ReasonRefusedSize, ReasonEncoding, ReasonUnparseable, ReasonCut,
	}
}

// Fault is what went wrong outside: with a network, a server or a document. It is input, not an error of the program.
type Fault struct {
	Reason     Reason
	Detail     string        // for people: the fact and, where there is one, the next step; no secret, no query string
	Status     int           // HTTP status, 0 when none came
	RetryAfter time.Duration // what the server asked for, 0 when it asked for nothing
}

// Error writes the reason and the detail.
func (f *Fault) Error() string { return string(f.Reason) + ": " + f.Detail }

func fault(r Reason, format string, args ...any) *Fault {
	return &Fault{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// asFault gives the Fault in err, or one of reason unparseable around it.
func asFault(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return fault(ReasonUnparseable, "%s", short(err.Error(), 200))
}
