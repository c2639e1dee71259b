package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// told is what the tutorial shows: the forms of the list, the commands, and what those print that print something.
type told struct {
	Steps    []string
	Commands []string
	Outputs  []string
}

// TestTutorialIsTheScript holds the tutorial of the analysts' page to the script that plays it: the same lists, commands and outputs, but for dates.
func TestTutorialIsTheScript(t *testing.T) {
	page, err := os.ReadFile("../../watchlists/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## 6. ")
	section, _, ended := strings.Cut(rest, "\n## 7. ")
	if !found || !ended {
		t.Fatal("no section 6")
	}
	script, err := os.ReadFile("testdata/script/tutorial.txtar")
	if err != nil {
		t.Fatal(err)
	}
	read, played := fromPage(section), fromScript(string(script))
	if d := cmp.Diff(played, read); d != "" {
		t.Error(d)
	}
	if len(read.Steps) < 3 || len(read.Commands) < 6 || len(read.Outputs) < 5 {
		t.Errorf("the tutorial is short: %+v", read)
	}
}

func fromPage(section string) (out told) {
	for i, block := range strings.Split(section, "```") {
		kind, text, _ := strings.Cut(block, "\n")
		switch {
		case i%2 == 0:
		case kind == "yaml":
			out.Steps = append(out.Steps, text)
		default:
			out.commands(text)
		}
	}
	return out
}

func (o *told) commands(text string) {
	answer := ""
	end := func() {
		if answer != "" {
			o.Outputs = append(o.Outputs, withoutDates(answer))
		}
		answer = ""
	}
	for line := range strings.Lines(text) {
		if c, ok := strings.CutPrefix(line, "$ "); ok {
			end()
			o.Commands = append(o.Commands, strings.TrimSpace(c))
			continue
		}
		answer += line
	}
	end()
}

func fromScript(archive string) (out told) {
	files, name := map[string]string{}, ""
	for line := range strings.Lines(archive) {
		if rest, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(rest, " --\n")
			continue
		}
		files[name] += line
	}
	_, rest, _ := strings.Cut(files[""], "\n# begin\n")
	part, _, _ := strings.Cut(rest, "\n# end\n")
	compared := 0
	for line := range strings.Lines(part + "\n") {
		words := strings.Fields(strings.TrimPrefix(line, "! "))
		switch {
		case words[0] == "exec":
			out.Commands = append(out.Commands, strings.Join(words[1:], " "))
		case words[0] == "cd":
			out.Commands = append(out.Commands, strings.Join(words, " "))
		case strings.HasPrefix(words[0], "cmp") && words[2] == fmt.Sprintf("$WORK/want%d", compared+1):
			compared++
			out.Outputs = append(out.Outputs, withoutDates(files[fmt.Sprintf("want%d", compared)]))
		case words[0] == "cp" && words[1] == fmt.Sprintf("$WORK/step%d.yaml", len(out.Steps)+1):
			out.Steps = append(out.Steps, files[fmt.Sprintf("step%d.yaml", len(out.Steps)+1)])
		}
	}
	return out
}
