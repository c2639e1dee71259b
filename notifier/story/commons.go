package story

import (
	"math"
	"time"
)

// commons counts what the stream of these weeks tells of, so that a name that everybody writes about loses its strength: in a crisis week "Hormuz"
// alone proves nothing.
type commons struct {
	items  float64
	counts map[string]float64
	halved time.Time
}

const (
	prior    = 300                // items of ordinary news that the table of rarity stands for
	halfLife = 7 * 24 * time.Hour // after which what was counted weighs half
)

func newCommons() commons { return commons{counts: map[string]float64{}} }

// bits is the rarity of a key in the stream, given its rarity in all news.
func (c *commons) bits(key string, bits float64) float64 {
	held := prior * math.Exp2(-bits)
	return min(bits, -math.Log2((c.counts[key]+held)/(c.items+prior)))
}

// count notes the keys of one item.
func (c *commons) count(p *profile) {
	c.items++
	for i := range p.entries {
		c.counts[p.entries[i].key]++
	}
}

// age halves the counts once in a half-life, and forgets what was rare.
func (c *commons) age(now time.Time) {
	if c.halved.IsZero() {
		c.halved = now
	}
	if now.Sub(c.halved) < halfLife {
		return
	}
	c.halved = now
	c.items /= 2
	for k, n := range c.counts {
		if n /= 2; n < 1 {
			delete(c.counts, k)
		} else {
			c.counts[k] = n
		}
	}
}
