package notifier

import (
	"time"

	"tocsin/news/strict"
	"tocsin/notifier/story"
)

// Stories says how items become stories, and what is worth an update. `stories: none` makes each item a story of its own.
type Stories struct {
	strict.Pos
	Window         time.Duration `yaml:"window"`          // after its last item; a later one opens another story; 72h when not stated
	MaxAge         time.Duration `yaml:"max_age"`         // after its first item; 7d when not stated
	UpdateInterval Pause         `yaml:"update_interval"` // between two messages of an alert; 30m when not stated, 0s for no pause
	Growth         int           `yaml:"growth"`          // percent by which a counted number must grow to be news; 25 when not stated
	off            bool
}

// UnmarshalStrict reads the mapping, or the word none.
func (s *Stories) UnmarshalStrict(c *strict.Cursor) {
	if s.off = readOff(c); !s.off {
		type plain Stories
		c.Into((*plain)(s))
	}
	s.Pos = c.Pos()
}

const (
	defaultUpdateInterval = 30 * time.Minute
	defaultGrowth         = 25
	maxWindow             = 14 * 24 * time.Hour
	maxStoryAge           = 28 * 24 * time.Hour
)

func (c *Config) storyRules() storyRules {
	r := storyRules{interval: defaultUpdateInterval, growth: defaultGrowth / 100.0, maxAge: c.maxAge()}
	if s := c.Stories; s != nil {
		if s.UpdateInterval.stated {
			r.interval = s.UpdateInterval.d
		}
		if s.Growth > 0 {
			r.growth = float64(s.Growth) / 100
		}
	}
	return r
}

func (c *Config) stageOptions() story.Options {
	if c.Stories == nil {
		return story.Options{}
	}
	return story.Options{Window: c.Stories.Window, MaxAge: c.Stories.MaxAge}
}

func (k *routeCheck) stories(s *Stories) {
	if s == nil || s.off {
		return
	}
	if s.Window != 0 && (s.Window < time.Hour || s.Window > maxWindow) {
		k.faults.Add(s.Pos, "write window: 72h", "window %s: write 1h to 14d", s.Window)
	}
	if s.MaxAge != 0 && (s.MaxAge < time.Hour || s.MaxAge > maxStoryAge) {
		k.faults.Add(s.Pos, "write max_age: 7d", "max_age %s: write 1h to 28d", s.MaxAge)
	}
	if s.Growth < 0 || s.Growth > 1000 {
		k.faults.Add(s.Pos, "write growth: 25, in percent", "growth %d: write 1 to 1000", s.Growth)
	}
}
