package news

// MaxSources is how many reports an alert record names; of more it names the first and counts the rest.
const MaxSources = 12

// Source is one report of a story beside the one that an alert shows.
type Source struct {
	Item   string `json:"item"`
	Outlet string `json:"outlet,omitempty"`
	Lang   string `json:"lang,omitempty"`
	Title  string `json:"title,omitempty"`
	URL    string `json:"url,omitempty"`
}

// StoryLink is the evidence for and against an item being part of a story. Points add up; from zero on it is.
type StoryLink struct {
	Story    string     `json:"story"`
	Points   float64    `json:"points"`
	Evidence []Evidence `json:"evidence,omitempty"` // heaviest first
}

// Evidence is one reason for (positive points) or against.
type Evidence struct {
	Name   string  `json:"name"` // from a closed list: "same names and words", "other places", ...
	Points float64 `json:"points"`
	Detail string  `json:"detail,omitempty"` // the words, names or numbers that it rests on
}

// StoryMerge tells that two stories turned out to be one. The older id stays.
type StoryMerge struct {
	From  string    `json:"from"`            // story that ended
	Into  string    `json:"into"`            // story that goes on
	Alert string    `json:"alert,omitempty"` // alert of this watchlist that ended in this one
	Link  StoryLink `json:"link"`
}
