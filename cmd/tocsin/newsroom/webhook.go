package newsroom

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Hit is one request that the webhook receiver accepted as genuine.
type Hit struct {
	ID     string // webhook-id
	At     time.Time
	Header http.Header
	Body   []byte
	Status int // what was answered; 0 when the connection was cut
	Kept   bool
	Alerts []Alert // what the body tells; empty when it could not be read
	Err    error   // why the body could not be read
}

// Fault makes the webhook receiver misbehave. The zero value is a good receiver.
type Fault struct {
	Status     int           // answer this instead of 204; 0 with Share > 0 cuts the connection
	RetryAfter string        // sent as Retry-After
	Hang       time.Duration // wait before answering
	Share      float64       // share of requests that suffer, 0 to 1
	Count      int           // suffer only so many requests; 0 = no limit
	Keep       bool          // take the delivery in before misbehaving, as a server does that dies after its commit
}

type hookSink struct {
	key []byte

	mu     sync.Mutex
	hits   []Hit
	forged int
	fault  Fault
	ended  chan struct{}
}

const (
	maxHookBody   = 1 << 20
	hookTolerance = 5 * time.Minute // as the Standard Webhooks specification proposes
)

// SetFault replaces the receiver's misbehaviour. Requests that hang now keep hanging for their time.
func (w *World) SetFault(f Fault) {
	w.hook.mu.Lock()
	defer w.hook.mu.Unlock()
	w.hook.fault = f
}

// Hits lists every genuine request in the order of arrival, refused ones included.
func (w *World) Hits() []Hit {
	w.hook.mu.Lock()
	defer w.hook.mu.Unlock()
	return slices.Clone(w.hook.hits)
}

// Forged counts requests whose signature, headers or time stamp were wrong.
func (w *World) Forged() int {
	w.hook.mu.Lock()
	defer w.hook.mu.Unlock()
	return w.hook.forged
}

// ServeHTTP takes one delivery.
func (s *hookSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHookBody))
	if r.Method != http.MethodPost || err != nil {
		http.Error(w, "POST a body of at most 1 MiB", http.StatusBadRequest)
		return
	}
	if err := verify(s.key, r.Header, body, now); err != nil {
		s.mu.Lock()
		s.forged++
		s.mu.Unlock()
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	f, suffers := s.next()
	h := Hit{ID: r.Header.Get("webhook-id"), At: now, Header: r.Header.Clone(), Body: body, Status: http.StatusNoContent, Kept: !suffers || f.Keep || f.onlyHangs()}
	h.Alerts, h.Err = parseEvent(body)
	if suffers && !f.onlyHangs() {
		h.Status = f.Status
	}
	s.mu.Lock()
	s.hits = append(s.hits, h)
	s.mu.Unlock()
	if suffers {
		s.wait(r, f.Hang)
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
	}
	if h.Status == 0 {
		panic(http.ErrAbortHandler) // the server's way to cut a connection
	}
	w.WriteHeader(h.Status)
}

// onlyHangs is a fault that answers well, but late.
func (f Fault) onlyHangs() bool { return f.Hang > 0 && f.Status == 0 }

func (s *hookSink) next() (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fault
	if f.Share <= 0 || rand.Float64() >= f.Share {
		return Fault{}, false
	}
	if f.Count > 0 {
		if s.fault.Count--; s.fault.Count == 0 {
			s.fault = Fault{}
		}
	}
	return f, true
}

func (s *hookSink) wait(r *http.Request, d time.Duration) {
	s.mu.Lock()
	if s.ended == nil {
		s.ended = make(chan struct{})
	}
	ended := s.ended
	s.mu.Unlock()
	select {
	case <-time.After(d):
	case <-ended:
	case <-r.Context().Done():
	}
}

// release lets hanging requests end.
func (s *hookSink) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = make(chan struct{})
	}
	select {
	case <-s.ended:
	default:
		close(s.ended)
	}
}

// verify checks a symmetric Standard Webhooks signature (v1) without the library that the sender may be tested with.
func verify(key []byte, h http.Header, body []byte, now time.Time) error {
	id, stamp, sigs := h.Get("webhook-id"), h.Get("webhook-timestamp"), h.Get("webhook-signature")
	if id == "" || stamp == "" || sigs == "" {
		return errors.New("a webhook header is missing")
	}
	sec, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("webhook-timestamp is not a number of seconds")
	}
	if age := now.Sub(time.Unix(sec, 0)); age > hookTolerance || age < -hookTolerance {
		return errors.New("webhook-timestamp is too far from now")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for sig := range strings.FieldsSeq(sigs) {
		v, b64, _ := strings.Cut(sig, ",")
		got, err := base64.StdEncoding.DecodeString(b64)
		if v == "v1" && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("no signature fits")
}
