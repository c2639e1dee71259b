//go:build pages

package main

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// browser is a headless Chromium, spoken to by the DevTools protocol. Build with -tags pages; CHROMIUM names another program.
type browser struct {
	t    testing.TB
	ws   *websocket.Conn
	mu   sync.Mutex
	next int
	wait map[int]chan reply
	tabs map[string]*tab
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// message is what comes from the browser.
type message struct {
	ID        int
	Method    string
	SessionID string `json:"sessionId"`
	Params    json.RawMessage
	reply
}

func openBrowser(t testing.TB) *browser {
	t.Helper()
	dir, err := os.MkdirTemp("", "tocsin-browser-")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(cmp.Or(os.Getenv("CHROMIUM"), "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "--remote-allow-origins=*", "--user-data-dir="+dir, "about:blank")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("chromium does not start: install it, or name it with CHROMIUM: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		_ = os.RemoveAll(dir) // its children may still write there
	})
	b := &browser{t: t, wait: map[int]chan reply{}, tabs: map[string]*tab{}}
	if b.ws, err = websocket.Dial(debugAddress(t, bufio.NewScanner(out)), "", "http://localhost/"); err != nil {
		t.Fatal(err)
	}
	b.ws.MaxPayloadBytes = 64 << 20
	t.Cleanup(func() { _ = b.ws.Close() }) // the browser is gone
	go b.read()
	return b
}

// debugAddress waits for the line that names the address, and then empties the pipe.
func debugAddress(t testing.TB, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if _, addr, ok := strings.Cut(lines.Text(), "DevTools listening on "); ok {
			go func() {
				for lines.Scan() {
				}
			}()
			return addr
		}
	}
	t.Fatal("chromium ended before it listened")
	return ""
}

func (b *browser) read() {
	for {
		var m message
		if err := websocket.JSON.Receive(b.ws, &m); err != nil {
			return
		}
		b.mu.Lock()
		if c := b.wait[m.ID]; m.ID > 0 && c != nil {
			delete(b.wait, m.ID)
			c <- m.reply
		} else if t := b.tabs[m.SessionID]; t != nil {
			t.take(&m)
		}
		b.mu.Unlock()
	}
}

// call sends one command and reads its result into out.
func (b *browser) call(session, method string, params map[string]any, out any) error {
	b.mu.Lock()
	b.next++
	id, c := b.next, make(chan reply, 1)
	b.wait[id] = c
	msg := map[string]any{"id": id, "method": method, "params": params}
	if session != "" {
		msg["sessionId"] = session
	}
	err := websocket.JSON.Send(b.ws, msg)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case r := <-c:
		if r.Error != nil {
			return fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		if out == nil {
			return nil
		}
		return json.Unmarshal(r.Result, out)
	case <-time.After(30 * time.Second):
		return errors.New(method + ": no answer for 30 s")
	}
}

// tab is one page of the browser, with what it complained about and what it asked for.
type tab struct {
	t        testing.TB
	b        *browser
	target   string
	session  string
	errors   []string
	requests []string
	loaded   chan struct{}
}

// open opens a tab, which the test closes at its end.
func (b *browser) open(t *testing.T) *tab {
	t.Helper()
	var target struct{ TargetID string }
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target))
	must(b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached))
	p := &tab{t: t, b: b, target: target.TargetID, session: attached.SessionID, loaded: make(chan struct{}, 1)}
	t.Cleanup(p.close)
	b.mu.Lock()
	b.tabs[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		must(b.call(p.session, domain+".enable", nil, nil))
	}
	return p
}

// close closes the tab; a second time does nothing.
func (p *tab) close() {
	p.b.mu.Lock()
	known := p.b.tabs[p.session] != nil
	delete(p.b.tabs, p.session)
	p.b.mu.Unlock()
	if known {
		_ = p.b.call("", "Target.closeTarget", map[string]any{"targetId": p.target}, nil) // the browser may have ended
	}
}

// take notes an event. The caller holds b.mu.
func (p *tab) take(m *message) {
	var x struct {
		Request          struct{ URL string }
		Entry            struct{ Level, Text, URL string }
		Type             string
		Args             []struct{ Value any }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if json.Unmarshal(m.Params, &x) != nil {
		return
	}
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case p.loaded <- struct{}{}:
		default:
		}
	case "Network.requestWillBeSent":
		p.requests = append(p.requests, x.Request.URL)
	case "Log.entryAdded":
		if x.Entry.Level == "error" || x.Entry.Level == "warning" {
			p.errors = append(p.errors, x.Entry.Text+" "+x.Entry.URL)
		}
	case "Runtime.exceptionThrown":
		p.errors = append(p.errors, x.ExceptionDetails.Text+" "+x.ExceptionDetails.Exception.Description)
	case "Runtime.consoleAPICalled":
		if x.Type == "error" || x.Type == "warning" {
			p.errors = append(p.errors, fmt.Sprint(x.Args))
		}
	}
}

func (p *tab) do(method string, params map[string]any) {
	p.t.Helper()
	if err := p.b.call(p.session, method, params, nil); err != nil {
		p.t.Fatal(err)
	}
}

// size sets the width of the window in CSS pixels, and the theme: light or dark.
func (p *tab) size(width, height int, theme string) {
	p.t.Helper()
	p.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
	p.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": theme}}})
}

// visit loads an address and waits for it.
func (p *tab) visit(url string) {
	p.t.Helper()
	p.settle(func() { p.do("Page.navigate", map[string]any{"url": url}) })
}

// settle does what loads a page, and waits until it is loaded.
func (p *tab) settle(f func()) {
	p.t.Helper()
	select {
	case <-p.loaded:
	default:
	}
	f()
	select {
	case <-p.loaded:
	case <-time.After(30 * time.Second):
		p.t.Fatal("the page does not load")
	}
}

// eval gives the value of an expression, awaited, as JSON.
func (p *tab) eval(expression string, out any) {
	p.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := p.b.call(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if err == nil && r.ExceptionDetails != nil {
		err = errors.New(r.ExceptionDetails.Text + " " + r.ExceptionDetails.Exception.Description)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(r.Result.Value, out)
	}
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
}

// until waits for a condition of the page.
func (p *tab) until(what, condition string) {
	p.t.Helper()
	waitFor(p.t, 30*time.Second, what, func() bool {
		var ok bool
		p.eval("Boolean("+condition+")", &ok)
		return ok
	})
}

// picture gives a PNG of the window.
func (p *tab) picture() []byte {
	p.t.Helper()
	var r struct{ Data string }
	if err := p.b.call(p.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &r); err != nil {
		p.t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// complaints gives what the page wrote to the console, and requests where it asked.
func (p *tab) complaints() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return append([]string{}, p.errors...)
}

func (p *tab) asked() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return append([]string{}, p.requests...)
}
