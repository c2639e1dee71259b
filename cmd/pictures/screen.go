package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ansi makes a page of what a terminal shows: the sequences that the channel stdout writes, a line at a time.
func ansi(screen string) []byte {
	classes := map[string]string{
		"1": "bold", "2": "dim", "34": "blue", "1;30;43": "mark", "1;37;41": "critical", "1;31": "high", "1;33": "medium", "1;36": "low",
	}
	var b bytes.Buffer
	b.WriteString(`<!doctype html><meta charset="utf-8"><style>
body{margin:0;padding:14px 18px;background:#11151a;color:#d5dbe2;font:14px/1.6 "Noto Sans Mono","DejaVu Sans Mono","Noto Sans Devanagari","Noto Sans Arabic","Noto Sans CJK SC",monospace;overflow-wrap:anywhere}
p{margin:0;min-height:1.6em;padding-left:2ch;text-indent:-2ch}.bold{font-weight:700;color:#fff}.dim{color:#8b96a3}.blue{color:#6cb0ff}.mark{background:#e5c04b;color:#111;font-weight:700}
.critical{background:#c3283c;color:#fff;font-weight:700;padding:0 .4ch}.high{color:#ff7b6b;font-weight:700}.medium{color:#e9c14d;font-weight:700}.low{color:#66c6e0;font-weight:700}
</style>`)
	code := regexp.MustCompile("\x1b\\[([0-9;]*)m")
	for line := range strings.SplitSeq(strings.TrimRight(screen, "\n"), "\n") {
		indent := ""
		if strings.HasPrefix(line, "  ") {
			indent = "&nbsp;&nbsp;"
		}
		s := code.ReplaceAllStringFunc(html.EscapeString(strings.TrimSpace(line)), func(c string) string {
			if n := code.FindStringSubmatch(c)[1]; n != "0" {
				return `<span class="` + classes[n] + `">`
			}
			return "</span>"
		})
		b.WriteString(`<p dir="ltr">` + indent + s + "</p>")
	}
	return b.Bytes()
}

// status runs the demo for a while and shows its status page.
func (s *studio) status(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	c := exec.CommandContext(ctx, s.tocsin, "demo", "--for", "60s")
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	defer func() { stop(); _ = c.Wait() }()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return errors.New("the demo says nothing")
	}
	_, rest, ok := strings.Cut(lines.Text(), "Status page: ")
	address, _, _ := strings.Cut(rest, " ")
	if !ok {
		return fmt.Errorf("no address of a status page in %q", lines.Text())
	}
	go func() { // what the demo writes must go somewhere
		for lines.Scan() {
		}
	}()
	time.Sleep(25 * time.Second) // alerts and feeds fill the page
	return s.shoot("status", address, look{Width: 1100, Scale: 1}, 900)
}

// reduce writes a picture with its 256 commonest colours, which is enough for text on plain ground.
func reduce(raw []byte) ([]byte, error) {
	in, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	count := map[color.RGBA]int{}
	box := in.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(in.At(x, y)).(color.RGBA) }
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	all := make([]color.RGBA, 0, len(count))
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	var few color.Palette
	for _, c := range all[:min(len(all), 256)] {
		few = append(few, c)
	}
	nearest := map[color.RGBA]uint8{}
	for _, c := range all {
		nearest[c] = uint8(few.Index(c))
	}
	out := image.NewPaletted(box, few)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	var b bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out)
	return b.Bytes(), err
}
