package page

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"
)

// doors knows who signed in with the operator's token. A session lives in a cookie that scripts cannot read, and in memory here.
type doors struct {
	token    string
	now      func() time.Time
	mu       sync.Mutex
	sessions map[[sha256.Size]byte]session
	failed   []time.Time // wrong tokens of the last minute
}

// session is one person who signed in.
type session struct {
	name  string // as they call themselves
	until time.Time
}

const (
	cookieName  = "tocsin"
	sessionAge  = 12 * time.Hour
	maxSessions = 32
	maxFailures = 10 // wrong tokens a minute, of all together
	maxName     = 60
)

func newDoors(token string, now func() time.Time) *doors {
	return &doors{token: token, now: now, sessions: map[[sha256.Size]byte]session{}}
}

// outcome of a try to sign in.
type outcome int

const (
	signedIn outcome = iota
	wrongToken
	tooMany
)

// open makes a session when the token is right, and gives its secret.
func (d *doors) open(token, name string) (secret string, o outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for len(d.failed) > 0 && now.Sub(d.failed[0]) > time.Minute {
		d.failed = d.failed[1:]
	}
	if len(d.failed) >= maxFailures {
		return "", tooMany
	}
	if d.token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(d.token)) != 1 {
		d.failed = append(d.failed, now)
		return "", wrongToken
	}
	for k, s := range d.sessions {
		if now.After(s.until) {
			delete(d.sessions, k)
		}
	}
	for len(d.sessions) >= maxSessions {
		d.dropOldest()
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	d.sessions[sha256.Sum256([]byte(secret))] = session{name, now.Add(sessionAge)}
	return secret, signedIn
}

func (d *doors) dropOldest() {
	var oldest [sha256.Size]byte
	var at time.Time
	for k, s := range d.sessions {
		if at.IsZero() || s.until.Before(at) {
			oldest, at = k, s.until
		}
	}
	delete(d.sessions, oldest)
}

func (d *doors) end(secret string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, sha256.Sum256([]byte(secret)))
}

// visitor is who looks at a page.
type visitor struct {
	Can    bool // a token is configured: signing in is possible
	In     bool
	Name   string
	Form   string // proof that a form came from our page
	secret string
}

func (d *doors) visitor(r *http.Request) visitor {
	v := visitor{Can: d.token != ""}
	c, err := r.Cookie(cookieName)
	if err != nil || !v.Can {
		return v
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.sessions[sha256.Sum256([]byte(c.Value))]
	if !ok || d.now().After(s.until) {
		return v
	}
	mac := hmac.New(sha256.New, []byte(c.Value))
	mac.Write([]byte("form"))
	v.In, v.Name, v.secret, v.Form = true, s.name, c.Value, base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	return v
}

// sent tells whether a form came from a page that was made for this session.
func (v visitor) sent(form string) bool {
	return v.In && subtle.ConstantTimeCompare([]byte(form), []byte(v.Form)) == 1
}

// maxForm bounds the body of a form.
const maxForm = 128 << 10

// signInView is the page that asks for the token.
type signInView struct {
	Fault, Back string
}

func (p *Page) serveSignIn(w http.ResponseWriter, r *http.Request) {
	p.show(w, r, "signin", "Sign in", http.StatusOK, signInView{Back: ownPath(r.URL.Query().Get("back"))})
}

func (p *Page) takeSignIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	back := ownPath(r.PostForm.Get("back"))
	secret, o := p.doors.open(strings.TrimSpace(r.PostForm.Get("token")), cleanName(r.PostForm.Get("name")))
	switch o {
	case tooMany:
		p.show(w, r, "signin", "Sign in", http.StatusTooManyRequests, signInView{Fault: "Too many wrong tokens. Wait a minute.", Back: back})
		return
	case wrongToken:
		p.o.Log.Warn("status page: wrong token", "component", "page")
		p.show(w, r, "signin", "Sign in", http.StatusForbidden, signInView{Fault: "That is not the token of http.page.token_file.", Back: back})
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(sessionAge / time.Second),
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (p *Page) takeSignOut(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if v := p.doors.visitor(r); v.sent(r.PostFormValue("form")) {
		p.doors.end(v.secret)
		http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// ownPath gives a path of ours to go back to: no other host, no scheme.
func ownPath(s string) string {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\r\n\t") {
		return "/"
	}
	return s
}
