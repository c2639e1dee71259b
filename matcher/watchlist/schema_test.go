package watchlist

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"tocsin/news"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("watchlist.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("watchlist.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// jsonValue is a YAML file as an editor hands it to the schema: dates are texts.
func jsonValue(t *testing.T, data []byte) any {
	var n yaml.Node
	if err := yaml.Unmarshal(data, &n); err != nil {
		t.Fatal(err)
	}
	var plain func(n *yaml.Node)
	plain = func(n *yaml.Node) {
		if n.Tag == "!!timestamp" {
			n.Tag = "!!str"
		}
		for _, c := range n.Content {
			plain(c)
		}
	}
	plain(&n)
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAcceptsGoodFiles(t *testing.T) {
	s := compileSchema(t)
	var files []string
	for _, pattern := range []string{"testdata/good/*.yaml", "../../watchlists/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Errorf("no file in %s", pattern)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(jsonValue(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSchemaRefusesFaultsOfShape takes the bad files that are marked as refused by the schema.
func TestSchemaRefusesFaultsOfShape(t *testing.T) {
	s := compileSchema(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	marked := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), "\n# schema: refuses it\n") {
			continue
		}
		marked++
		if err := s.Validate(jsonValue(t, data)); err == nil {
			t.Errorf("%s is accepted", file)
		}
	}
	if marked < 40 {
		t.Errorf("only %d bad files are marked", marked)
	}
}

// TestSchemaKnowsEveryKey holds the schema against the keys that the loader reads: none is missing, none is invented, each is described.
func TestSchemaKnowsEveryKey(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	at := func(path ...any) map[string]any {
		v := doc
		for _, p := range path {
			switch p := p.(type) {
			case string:
				v = v.(map[string]any)[p]
			case int:
				v = v.([]any)[p]
			}
		}
		return v.(map[string]any)
	}
	for _, c := range []struct {
		raw    any
		schema map[string]any
	}{
		{rawList{}, at("properties")},
		{rawSources{}, at("properties", "sources", "properties")},
		{rawEntity{}, at("$defs", "entity", "properties")},
		{rawAlias{}, at("$defs", "alias", "anyOf", 1, "properties")},
		{rawCondition{}, at("$defs", "condition", "anyOf", 1, "properties")},
		{rawSentence{}, at("$defs", "sentence", "anyOf", 1, "properties")},
		{rawRule{}, at("$defs", "rule", "properties")},
		{rawScore{}, at("$defs", "rule", "properties", "score", "properties")},
	} {
		keys := map[string]bool{}
		typ := reflect.TypeOf(c.raw)
		for i := range typ.NumField() {
			if name := typ.Field(i).Tag.Get("yaml"); name != "" {
				keys[name] = true
			}
		}
		if d := cmp.Diff(news.SortedKeys(keys), news.SortedKeys(c.schema)); d != "" {
			t.Errorf("%s: %s", typ, d)
		}
		for key, v := range c.schema {
			m := v.(map[string]any)
			target, _ := m["$ref"].(string)
			_, own := m["description"]
			if name, ok := strings.CutPrefix(target, "#/$defs/"); ok && !own {
				_, own = at("$defs", name)["description"]
			}
			if !own {
				t.Errorf("%s: key %s is not described", typ, key)
			}
		}
	}
}
