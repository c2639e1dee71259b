package email

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"

	"tocsin/notifier"
)

// People is what the channel asks and tells about its recipients. Functions that are nil are not asked.
type People struct {
	// Away tells why a recipient must not be written to about a watchlist, "" when they may be.
	Away func(ctx context.Context, address, watchlist string) (reason string, err error)
	// Bounced takes an address that the server says does not exist (550 5.1.1). It stays away until an operator lifts it.
	Bounced func(ctx context.Context, address, status string) error
}

// minKey is the least length of the key that signs tokens, in bytes.
const minKey = 32

// purpose keeps a signature made here from being good for anything else.
const purpose = "tocsin unsubscribe 1"

// Leaver makes and reads the tokens in unsubscribe links: recipient and watchlist, signed with HMAC-SHA256.
type Leaver struct{ key []byte }

// NewLeaver takes the key, at least 32 bytes.
func NewLeaver(key notifier.Secret) (*Leaver, error) {
	if len(key.Reveal()) < minKey {
		return nil, fmt.Errorf("the key for unsubscribe links has %d bytes: write at least %d random ones", len(key.Reveal()), minKey)
	}
	return &Leaver{[]byte(key.Reveal())}, nil
}

func (l *Leaver) sign(text string) string {
	h := hmac.New(sha256.New, l.key)
	h.Write([]byte(purpose + "\n" + text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:20])
}

// Token names a recipient and a watchlist. The same two give the same token.
func (l *Leaver) Token(address, watchlist string) string {
	text := address + "\n" + watchlist
	return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + l.sign(text)
}

// errToken is one for all: what is wrong with a token helps nobody but those who guess.
var errToken = errors.New("this link is not valid")

// Read gives what a token names.
func (l *Leaver) Read(token string) (address, watchlist string, err error) {
	enc, sig, ok := strings.Cut(token, ".")
	text, bad := base64.RawURLEncoding.DecodeString(enc)
	if !ok || bad != nil || len(text) > 1000 || !hmac.Equal([]byte(l.sign(string(text))), []byte(sig)) {
		return "", "", errToken
	}
	address, watchlist, _ = strings.Cut(string(text), "\n")
	return address, watchlist, nil
}

// link is the address for the header, base with the token.
func (l *Leaver) link(base, address, watchlist string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("t", l.Token(address, watchlist))
	u.RawQuery = q.Encode()
	return u.String()
}

// Unsubscribe is the door that the links lead to (RFC 8058): a POST of List-Unsubscribe=One-Click leaves the list, needs no login and is not
// redirected; a GET shows a button and changes nothing, because scanners follow links.
type Unsubscribe struct {
	Leavers []*Leaver // one for each channel that signs links; each is tried
	// Leave notes that the recipient wants no mail about the watchlist any more.
	Leave func(ctx context.Context, address, watchlist string) error
}

// ServeHTTP answers GET and POST.
func (u Unsubscribe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleHash()+"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	address, list, err := u.read(r.URL.Query().Get("t"))
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		page(w, "This link is not valid", "It may have been cut off. Ask the person who runs Tocsin to take you off the list.", false)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		page(w, "Leave "+named(list)+"?", address+" will then get no mail about it any more.", true)
	case http.MethodPost:
		u.leave(w, r, address, list)
	default:
		h.Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (u Unsubscribe) read(token string) (address, list string, err error) {
	err = errToken
	for _, l := range u.Leavers {
		if address, list, err = l.Read(token); err == nil {
			return address, list, nil
		}
	}
	return "", "", err
}

func (u Unsubscribe) leave(w http.ResponseWriter, r *http.Request, address, list string) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if r.FormValue("List-Unsubscribe") != "One-Click" {
		w.WriteHeader(http.StatusBadRequest)
		page(w, "Nothing was changed", "The request does not ask to leave.", false)
		return
	}
	if err := u.Leave(r.Context(), address, list); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		page(w, "This did not work", "Nothing was changed. Please try again later.", false)
		return
	}
	page(w, "You have left "+named(list), address+" gets no mail about it any more.", false)
}

// named is a list in a sentence; a mail about several lists names none, and leaving it leaves all.
func named(list string) string {
	if list == "" {
		return "all lists"
	}
	return "the list " + list
}

const pageStyle = ":root{color-scheme:light dark}body{font:16px/1.5 sans-serif;max-width:36em;margin:2em auto;padding:0 1em;overflow-wrap:anywhere}button{font:inherit;padding:.5em 1.2em}"

func styleHash() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func page(w http.ResponseWriter, title, text string, form bool) {
	button := ""
	if form {
		button = `<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><button>Leave</button></form>`
	}
	fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>%s</title><style>"+pageStyle+"</style><h1>%s</h1><p>%s</p>%s</html>\n",
		html.EscapeString(title), html.EscapeString(title), html.EscapeString(text), button)
}
