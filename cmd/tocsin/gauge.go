package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

// gauge shows how far a long reading is: a bar in a terminal, else a line now and then.
type gauge struct {
	out      io.Writer
	bar      bool
	began    time.Time
	last     time.Time // line written, without a terminal
	items    atomic.Int64
	read     atomic.Int64 // bytes of files
	total    atomic.Int64
	from, to atomic.Int64 // times of the items of an instance, Unix nanoseconds
	at       atomic.Int64
	quit     chan struct{}
	done     chan struct{}
}

func (p *gauge) times(from, to time.Time) {
	p.from.Store(from.UnixNano())
	p.to.Store(to.UnixNano())
}

func (p *gauge) reached(t time.Time) {
	if n := t.UnixNano(); n > p.at.Load() {
		p.at.Store(n) // two workers may race: a bar may be a little behind
	}
}

func (p *gauge) files(names []string) {
	for _, n := range names {
		if st, err := os.Stat(n); err == nil {
			p.total.Add(st.Size())
		}
	}
}

func (p *gauge) counted(r io.Reader) io.Reader { return &countedReader{r, &p.read} }

type countedReader struct {
	r io.Reader
	n *atomic.Int64
}

// Read counts what it reads.
func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

const (
	barEvery  = 200 * time.Millisecond
	lineEvery = 10 * time.Second
	barWidth  = 30
)

// showGauge begins to show; finish ends it and clears the bar.
func showGauge(out io.Writer) *gauge {
	f, ok := out.(*os.File)
	p := &gauge{out: out, bar: ok && term.IsTerminal(int(f.Fd())), began: time.Now(), quit: make(chan struct{}), done: make(chan struct{})}
	p.last = p.began
	go func() {
		defer close(p.done)
		t := time.NewTicker(barEvery)
		defer t.Stop()
		for {
			select {
			case <-p.quit:
				return
			case <-t.C:
				p.show()
			}
		}
	}()
	return p
}

func (p *gauge) finish() {
	close(p.quit)
	<-p.done
	if p.bar {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// share is how much is done, 0 to 1; 0 when that is not known.
func (p *gauge) share() float64 {
	if total := p.total.Load(); total > 0 {
		return min(1, float64(p.read.Load())/float64(total))
	}
	if from, to := p.from.Load(), p.to.Load(); to > from && p.at.Load() > from {
		return min(1, float64(p.at.Load()-from)/float64(to-from))
	}
	return 0
}

func (p *gauge) show() {
	if p.bar {
		fmt.Fprint(p.out, "\r\x1b[K"+p.line())
	} else if time.Since(p.last) >= lineEvery {
		p.last = time.Now()
		fmt.Fprintln(p.out, p.line())
	}
}

func (p *gauge) line() string {
	share, took := p.share(), time.Since(p.began)
	n := p.items.Load()
	text := fmt.Sprintf("%d items, %.0f/s", n, float64(n)/took.Seconds())
	if share <= 0 {
		return text
	}
	full := int(share * barWidth)
	left := time.Duration(float64(took) * (1 - share) / share).Round(time.Second)
	return fmt.Sprintf("[%s%s] %3.0f %%  %s, %s left", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*share, text, left)
}
