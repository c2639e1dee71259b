package watchlist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestForeignLanguages reads what three other systems can say, written in ours, and compares the trees in their canonical form.
func TestForeignLanguages(t *testing.T) {
	want := map[string]string{
		"emm-weights":             `30: railway 10, track 5, "jaffar express" 25, blast* 10, derail* 15, film -20`,
		"emm-combination":         `(taliban OR militant* OR "armed group") AND (drone* OR quadcopter* OR "unmanned aerial") AND NOT (film OR game OR "drone show")`,
		"emm-proximity":           `(torkham OR chaman OR "spin boldak") NEAR/12 (clos* OR shut OR seal* OR reopen*)`,
		"emm-open-ends":           `террорист* OR боевик*`,
		"mw-near":                 `drone* NEAR/10 taliban`,
		"mw-onear":                `suicide ONEAR/3 vest*`,
		"mw-near-groups":          `(pakistan* OR islamabad) NEAR/15 (deport* OR expel* OR repatriat*) AND NOT "cricket team"`,
		"mw-near-chain":           `china NEAR/8 afghan* NEAR/8 pakistan*`,
		"mw-title-count":          `title:(ttp OR "pakistani taliban") AND ATLEAST/3(attack* OR ambush*)`,
		"mw-case-source":          `case:"IEA" AND "islamic emirate*" AND lang:en AND NOT (feed:"Oil Price" OR feed:iea)`,
		"lu-boolean":              `gwadar AND (port OR harbour) AND NOT cricket`,
		"lu-fields":               `title:"durand line" OR (body:fenc* AND summary:border)`,
		"lu-slop":                 `(border NEAR/4 closed) OR (border ONEAR/4 (closed OR shut))`,
		"lu-span-in-span":         `(indus NEAR/2 treaty) NEAR/20 (suspend* OR abeyance)`,
		"lu-minimum-should-match": `2: "wang yi" 1, trilateral 1, kabul 1, islamabad 1`,
		"lu-fuzzy":                `khwarij OR khawarij OR khawarej OR kharijit*`,
	}
	for _, name := range []string{"emm", "meltwater", "lucene"} {
		data, err := os.ReadFile(filepath.Join("testdata/good", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		list, fs := LoadFile(name+".yaml", data)
		if len(fs) > 0 {
			t.Fatal(fs)
		}
		for _, r := range list.Rules {
			got := ""
			if r.Score != nil {
				got = r.Score.String()
			} else {
				got = r.Query.String()
			}
			if got != want[r.ID.Value] {
				t.Errorf("%s reads\n%s, want\n%s", r.ID.Value, got, want[r.ID.Value])
			}
			delete(want, r.ID.Value)
		}
	}
	if len(want) > 0 {
		t.Errorf("no rule for %v", want)
	}
}

// TestQueryTimeIsBounded parses queries of the largest size that are made to cost time.
func TestQueryTimeIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for name, in := range map[string]string{
		"words":            strings.Repeat("ab OR ", 682) + "ab",
		"parentheses":      strings.Repeat("(", MaxQuery),
		"groups":           strings.Repeat("(ab OR ", 500),
		"quotes":           strings.Repeat(`"`, MaxQuery),
		"faults":           strings.Repeat("? ", 2000),
		"near":             strings.Repeat("ab NEAR/5 ", 400) + "ab",
		"not":              strings.Repeat("NOT ", 1000),
		"fields":           strings.Repeat("title:", 600),
		"lines":            strings.Repeat("a?\n", 1300),
		"one long word":    strings.Repeat("x", MaxQuery),
		"commas":           strings.Repeat(",", MaxQuery),
		"colons":           strings.Repeat(":", MaxQuery),
		"one long phrase":  `"` + strings.Repeat("x ", 2000) + `"`,
		"unknown language": strings.Repeat("lang:q ", 500),
	} {
		best := time.Hour // of three, for other programs run beside the test
		for range 3 {
			start := time.Now()
			ParseQuery("q", in)
			best = min(best, time.Since(start))
		}
		if best > 50*time.Millisecond {
			t.Errorf("%s took %s", name, best)
		}
		t.Logf("%s: %s", name, best.Round(10*time.Microsecond))
	}
}
