package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// browser is a headless Chromium that is spoken to over a pipe (Chrome DevTools Protocol): messages in JSON, each ended by a zero byte.
type browser struct {
	cmd     *exec.Cmd
	to      *os.File
	from    *bufio.Reader
	last    int
	session string
}

// look is how a page is looked at.
type look struct {
	Width int     // of the window, in CSS pixels
	Dark  bool    // the reader prefers dark
	Scale float64 // device pixels for one CSS pixel
	Phone bool
}

// patience bounds the wait for one answer of the browser.
const patience = 30 * time.Second

func openBrowser(program string) (*browser, error) {
	profile, err := os.MkdirTemp("", "pictures")
	if err != nil {
		return nil, err
	}
	theirIn, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b := &browser{to: to, from: bufio.NewReaderSize(from, 1<<20)}
	b.cmd = exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+profile)
	b.cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w: name another with -chromium", program, err)
	}
	time.AfterFunc(5*time.Minute, func() { _ = from.Close() })
	_ = errors.Join(theirIn.Close(), theirOut.Close())
	return b, b.attach()
}

// close ends the browser and removes what it kept.
func (b *browser) close() error {
	_ = b.to.Close()
	err := b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	for _, a := range b.cmd.Args {
		var dir string
		if n, _ := fmt.Sscanf(a, "--user-data-dir=%s", &dir); n == 1 {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return err
}

// attach opens one tab, which all pictures share.
func (b *browser) attach() error {
	var tab struct{ TargetID string }
	if err := b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &tab); err != nil {
		return err
	}
	var in struct{ SessionID string }
	if err := b.call("Target.attachToTarget", map[string]any{"targetId": tab.TargetID, "flatten": true}, &in); err != nil {
		return err
	}
	b.session = in.SessionID
	return b.call("Page.enable", nil, nil)
}

type answer struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// call sends one message and reads up to its answer.
func (b *browser) call(method string, params map[string]any, into any) error {
	b.last++
	m := map[string]any{"id": b.last, "method": method, "params": params}
	if params == nil {
		m["params"] = map[string]any{}
	}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(raw, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		a, err := b.next()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", method, err)
		case a.ID != b.last:
		case a.Error != nil:
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		case into == nil:
			return nil
		default:
			return json.Unmarshal(a.Result, into)
		}
	}
}

func (b *browser) next() (*answer, error) {
	raw, err := b.from.ReadBytes(0)
	if err != nil {
		return nil, err
	}
	var a answer
	return &a, json.Unmarshal(raw[:len(raw)-1], &a)
}

// wait reads up to an event.
func (b *browser) wait(event string) error {
	for begun := time.Now(); time.Since(begun) < patience; {
		a, err := b.next()
		if err != nil || a.Method == event {
			return err
		}
	}
	return fmt.Errorf("no %s within %s", event, patience)
}

// picture shows an address and gives it as PNG, whole from top to bottom, at most most CSS pixels high. A page wider than the window is an error: nobody
// scrolls sideways.
func (b *browser) picture(address string, l look, most int) ([]byte, error) {
	scheme := "light"
	if l.Dark {
		scheme = "dark"
	}
	size := map[string]any{"width": l.Width, "height": 200, "deviceScaleFactor": l.Scale, "mobile": l.Phone}
	media := map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}
	err := errors.Join(b.call("Emulation.setDeviceMetricsOverride", size, nil), b.call("Emulation.setEmulatedMedia", media, nil))
	if err == nil {
		err = b.call("Page.navigate", map[string]any{"url": address}, nil)
	}
	if err == nil {
		err = b.wait("Page.loadEventFired")
	}
	var page struct {
		CSSContentSize struct{ Width, Height float64 }
	}
	if err == nil {
		err = b.call("Page.getLayoutMetrics", nil, &page)
	}
	if err != nil {
		return nil, fmt.Errorf("show %s: %w", address, err)
	}
	if w := int(page.CSSContentSize.Width); w > l.Width {
		return nil, fmt.Errorf("show %s: the page is %d pixels wide in a window of %d", address, w, l.Width)
	}
	clip := map[string]any{"x": 0, "y": 0, "width": l.Width, "height": min(int(page.CSSContentSize.Height), most), "scale": 1}
	var shot struct{ Data string }
	if err := b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "clip": clip}, &shot); err != nil {
		return nil, err
	}
	out, err := base64.StdEncoding.DecodeString(shot.Data)
	return out, errors.Join(err, notEmpty(out))
}

func notEmpty(b []byte) error {
	if len(b) == 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}
