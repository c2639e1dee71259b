package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// terminal gives one end of a real terminal; what is written to it comes out of the other, which drawn reads to the end.
func terminal(t *testing.T) (screen *os.File, drawn func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	control := func(request uintptr, n *int32) {
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request, uintptr(unsafe.Pointer(n))); e != 0 {
			t.Fatal(e)
		}
	}
	var open, n int32
	control(syscall.TIOCSPTLCK, &open)
	control(syscall.TIOCGPTN, &n)
	if screen, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	all := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(master) // it ends with an error when the terminal is closed
		all <- string(b)
	}()
	return screen, func() string {
		_ = screen.Close()
		return <-all
	}
}

// Who waits for many feeds sees how far it is, on a terminal and nowhere else; what is piped stays clean.
func TestCheckAndImportShowTheirProgressOnATerminal(t *testing.T) {
	srv, _ := outlets(t)
	dir := t.TempDir()
	var list, outlines strings.Builder
	const feeds = 5
	list.WriteString("feeds:\n")
	for i := range feeds {
		fmt.Fprintf(&list, "  - url: %s/%d.xml\n", srv.URL, i)
		fmt.Fprintf(&outlines, `<outline type="rss" text="N%d" xmlUrl="%s/new%d.xml"/>`, i, srv.URL, i)
	}
	write(t, dir, "feeds.yaml", list.String())
	opml := write(t, dir, "in.opml", `<opml version="2.0"><body>`+outlines.String()+`</body></opml>`)
	config := write(t, dir, "tocsin.yaml", "fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], host_gap: 0s}\n")
	for _, c := range []struct {
		args    []string
		noColor string
		bars    int
	}{
		{[]string{"feeds", "check", "--config", config}, "", feeds},
		{[]string{"feeds", "check", "--config", config}, "1", 0},
		{[]string{"feeds", "import", opml, "--config", config, "--check"}, "", feeds},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		screen, drawn := terminal(t)
		var out bytes.Buffer
		code := execute(t.Context(), c.args, std{in: strings.NewReader(""), out: &out, err: screen})
		got := drawn()
		if code != 0 {
			t.Fatalf("%v: %d\n%s%s", c.args, code, out.String(), got)
		}
		if n := strings.Count(got, "feeds asked"); n != c.bars {
			t.Errorf("%v: %d bars were drawn, want %d: %q", c.args, n, c.bars, got)
		}
		for i := 1; i <= c.bars; i++ {
			if bar := fmt.Sprintf("] %d/%d feeds asked", i, feeds); !strings.Contains(got, bar) {
				t.Errorf("%v: %q is not drawn: %q", c.args, bar, got)
			}
		}
		if full := "[" + strings.Repeat("█", 30) + "]"; strings.Contains(got, full) != (c.bars > 0) {
			t.Errorf("%v: the last bar is not full: %q", c.args, got)
		}
		if strings.ContainsAny(out.String(), "\r\x1b█") {
			t.Errorf("%v: the bar is in the output: %q", c.args, out.String())
		}
	}
	if _, _, errs := tocsin(t, "feeds", "check", "--config", config); strings.Contains(errs, "feeds asked") {
		t.Errorf("without a terminal: %q", errs)
	}
}
