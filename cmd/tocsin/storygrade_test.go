package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
)

// precisionRecall is a pair of shares.
type precisionRecall struct{ p, r float64 }

func (x precisionRecall) f1() float64 {
	if x.p+x.r == 0 {
		return 0
	}
	return 2 * x.p * x.r / (x.p + x.r)
}

// storyScores compares found stories with labelled ones: pairs and B-cubed within a language, pairs across languages, and labelled stories that
// must stay apart.
type storyScores struct {
	pairs, cubed, foreign precisionRecall
	apart, contrasts      int
}

func (s storyScores) String() string {
	return fmt.Sprintf("%.3f %.3f %.3f | %.3f %.3f %.3f | %.2f %.2f | %d of %d", s.pairs.p, s.pairs.r, s.pairs.f1(), s.cubed.p, s.cubed.r, s.cubed.f1(), s.foreign.p, s.foreign.r,
		s.apart, s.contrasts)
}

func gradeStories(rows []storyRow, got []string, contrasts [][2]string) (s storyScores) {
	var within, across [3]float64 // right, wrongly together, wrongly apart
	mixed := map[[2]string]bool{}
	for i := range rows {
		right, found, labelled := 0.0, 0.0, 0.0
		for j := range rows {
			same, together := rows[i].Story == rows[j].Story, got[i] == got[j]
			if together && !same {
				mixed[[2]string{rows[i].Label, rows[j].Label}] = true
			}
			if rows[i].Lang == rows[j].Lang {
				right, found, labelled = right+one(same && together), found+one(together), labelled+one(same)
			}
			if j < i && (same || together) {
				count := &across
				if rows[i].Lang == rows[j].Lang {
					count = &within
				}
				count[int(one(!same))+2*int(one(!together))]++
			}
		}
		s.cubed.p, s.cubed.r = s.cubed.p+right/found/float64(len(rows)), s.cubed.r+right/labelled/float64(len(rows))
	}
	s.pairs, s.foreign = shares(within), shares(across)
	s.contrasts = len(contrasts)
	for _, c := range contrasts {
		s.apart += int(one(!mixed[c]))
	}
	return s
}

func shares(n [3]float64) precisionRecall {
	return precisionRecall{n[0] / math.Max(1, n[0]+n[1]), n[0] / math.Max(1, n[0]+n[2])}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func titleWords(title string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }) {
		out[w] = true
	}
	return out
}

// jaccardStories is the plain way: titles that share at least three words of ten are one story, and whatever hangs together is.
func jaccardStories(rows []storyRow) []string {
	got := make([]string, len(rows))
	words := make([]map[string]bool, len(rows))
	for i := range rows {
		got[i], words[i] = rows[i].ID, titleWords(rows[i].Title)
	}
	for i := range rows {
		for j := range i {
			shared := 0
			for w := range words[i] {
				shared += int(one(words[j][w]))
			}
			if float64(shared) < .3*float64(len(words[i])+len(words[j])-shared) || rows[i].Lang != rows[j].Lang || !near(&rows[i], &rows[j]) {
				continue
			}
			for k, old := 0, got[i]; k < len(got); k++ {
				if got[k] == old {
					got[k] = got[j]
				}
			}
		}
	}
	return got
}

func near(a, b *storyRow) bool { return a.Published.Sub(b.Published).Abs() <= 48*time.Hour }

// tfidfStories joins the two clusters that are most alike on average, by the cosine of rare words, until none reach .25.
func tfidfStories(rows []storyRow) []string {
	like := cosines(rows)
	members := make([][]int, len(rows))
	for i := range rows {
		members[i] = []int{i}
	}
	for {
		best, from, into := .25, -1, -1
		for i := range members {
			for j := range i {
				if len(members[i]) > 0 && len(members[j]) > 0 && like[i][j] >= best {
					best, from, into = like[i][j], i, j
				}
			}
		}
		if from < 0 {
			break
		}
		n, m := float64(len(members[into])), float64(len(members[from]))
		for k := range members {
			mean := (like[max(into, k)][min(into, k)]*n + like[max(from, k)][min(from, k)]*m) / (n + m)
			like[max(into, k)][min(into, k)] = mean
		}
		members[into], members[from] = append(members[into], members[from]...), nil
	}
	got := make([]string, len(rows))
	for _, m := range members {
		for _, i := range m {
			got[i] = rows[m[0]].ID
		}
	}
	return got
}

// cosines compares all titles of one language that lie within two days; [i][j] with j <= i.
func cosines(rows []storyRow) [][]float64 {
	df, n := map[string]float64{}, map[string]float64{}
	words := make([]map[string]bool, len(rows))
	for i := range rows {
		words[i] = titleWords(rows[i].Title)
		n[rows[i].Lang]++
		for w := range words[i] {
			df[rows[i].Lang+w]++
		}
	}
	idf := func(i int, w string) float64 { return math.Log((n[rows[i].Lang] + 1) / df[rows[i].Lang+w]) }
	long := make([]float64, len(rows))
	out := make([][]float64, len(rows))
	for i := range rows {
		for w := range words[i] {
			long[i] += idf(i, w) * idf(i, w)
		}
		out[i] = make([]float64, i+1)
		for j := range i {
			if rows[i].Lang != rows[j].Lang || !near(&rows[i], &rows[j]) {
				continue
			}
			for w := range words[i] {
				if words[j][w] {
					out[i][j] += idf(i, w) * idf(i, w)
				}
			}
			out[i][j] /= math.Max(1e-9, math.Sqrt(long[i]*long[j]))
		}
	}
	return out
}
