package watchlist

import (
	"slices"
	"strings"
)

func (b *builder) entity(raw *rawEntity) *Entity {
	b.current = raw
	e := &Entity{
		Pos: raw.Pos, List: b.list, ID: raw.ID,
		Name: clean(raw.Name.Value), Kind: raw.Kind.Value, About: clean(raw.About.Value),
		Severity: b.severity(raw.Severity, b.list.Severity),
		Labels:   b.labels(raw.Labels),
		Decoys:   b.decoys(raw.Decoys),
		Needs:    b.condition(raw.Needs, "needs"),
		Unless:   b.condition(raw.Unless, "unless"),
	}
	b.checkID(raw.ID, raw.Pos, "entity")
	if e.Name == "" {
		b.add(raw.Pos, "add name: as people should read it in alerts", "entity %q has no name", raw.ID.Value)
	}
	if e.Kind != "" && !slices.Contains(Kinds(), e.Kind) {
		b.add(raw.Kind.Pos, orKnown(e.Kind, Kinds()), "unknown kind %q", e.Kind)
	}
	e.Flag, e.Ignore = b.sentences(raw.Flag, raw.Ignore)
	for i := range raw.Aliases.Items {
		if a := b.alias(&raw.Aliases.Items[i], e); a != nil {
			e.Aliases = append(e.Aliases, a)
		}
	}
	b.aliases += len(raw.Aliases.Items)
	b.checkEntity(raw, e)
	return e
}

func (b *builder) checkEntity(raw *rawEntity, e *Entity) {
	if len(raw.Aliases.Items) == 0 && !raw.Aliases.Bad {
		b.add(raw.Pos, "add aliases: with at least one written form, as in {en: [name]}", "entity %q has no aliases", e.ID.Value)
	}
	if len(e.Flag) == 0 && len(raw.Flag) == 0 {
		b.warn(raw.Pos, "add flag: with a sentence that must be found, so that tocsin check can prove it", "entity %q has no flag: sentence", e.ID.Value)
	}
	type form struct{ lang, text string }
	seen := make(map[form]*Alias, len(e.Aliases))
	for _, a := range e.Aliases {
		f := form{a.Lang, a.Text}
		if !a.Exact {
			f.text = strings.ToLower(a.Text)
		}
		if first := seen[f]; first != nil {
			b.warn(a.Pos, "remove one of them", "alias %q stands twice, first at line %d", a.Text, first.Line)
			continue
		}
		seen[f] = a
	}
}

func (b *builder) decoys(raw rawTerms) []Term {
	terms := b.terms(raw)
	for _, t := range terms {
		if t.Kind == ContextRef || t.Kind == EntityRef {
			b.add(t.Pos, "write the longer phrase itself, or use unless:", "a decoy is a phrase, not a reference")
		}
	}
	return terms
}

func (b *builder) condition(raw *rawCondition, key string) *Condition {
	if raw == nil {
		return nil
	}
	c := &Condition{Pos: raw.Pos, Any: b.terms(raw.Any), All: b.terms(raw.All), Within: b.within(raw.Within)}
	if len(raw.Any.Items)+len(raw.All.Items) == 0 && !raw.Any.Bad && !raw.All.Bad && !raw.Bad {
		b.add(raw.Pos, "list words, as in "+key+": [kashmir, militant*], or remove it", "%s has nothing in it", key)
	}
	return c
}

func (b *builder) within(raw *rawInt) int {
	if raw == nil {
		return 0
	}
	if !raw.Bad && (raw.N < 1 || raw.N > MaxWithin) {
		b.add(raw.Pos, "write the distance in words, or leave it out for anywhere in the item", "within %d is out of range 1 to %d", raw.N, MaxWithin)
	}
	return raw.N
}

func (b *builder) alias(raw *rawAlias, e *Entity) *Alias {
	if raw.Bad {
		return nil
	}
	pos := raw.Text.Pos
	if pos.Line == 0 {
		pos = raw.Pos
	}
	a := &Alias{
		Pos: pos, Lang: b.lang(raw.Lang), Text: clean(raw.Text.Value),
		Needs: b.condition(raw.Needs, "needs"), Unless: b.condition(raw.Unless, "unless"),
		Inflect: raw.Inflect, Unattested: raw.Unattested,
	}
	if a.Lang == "" {
		a.Lang = AnyLang
	}
	b.aliasCase(raw, a)
	b.aliasWithin(raw, a, e)
	if p := checkAlias(raw.Text.Value, a.Text); p.fact != "" {
		b.add(pos, p.next, "%s", p.fact)
		return nil
	}
	b.checkAmbiguous(a, e)
	return a
}

func (b *builder) aliasCase(raw *rawAlias, a *Alias) {
	if raw.Case == nil {
		return
	}
	a.Exact = raw.Case.Value == "exact"
	if !a.Exact {
		next := `write case: exact, or leave it out`
		if guess(raw.Case.Value, []string{"exact"}) != "" {
			next = `did you mean "exact"?`
		}
		b.add(raw.Case.Pos, next, "unknown case %q", raw.Case.Value)
	}
}

// aliasWithin applies within: beside the text of an alias to the needs of the alias, or to its own copy of the needs of the entity.
func (b *builder) aliasWithin(raw *rawAlias, a *Alias, e *Entity) {
	if raw.Within == nil {
		return
	}
	n := b.within(raw.Within)
	switch {
	case a.Needs != nil && a.Needs.Within != 0:
		b.add(raw.Within.Pos, "keep the one inside needs:", "within is stated twice")
	case a.Needs != nil:
		a.Needs.Within = n
	case e.Needs != nil:
		own := *e.Needs
		own.Within = n
		a.Needs = &own
	default:
		b.add(raw.Within.Pos, "add needs:, or write it inside unless: {any: [...], within: 20}", "within without needs means nothing")
	}
}

// checkAlias judges the text of an alias; written is the text before blanks were folded.
func checkAlias(written, text string) problem {
	if text == "" {
		return problem{"an empty alias", "write the name or remove the entry"}
	}
	if p := checkText(written, text, "alias"); p.fact != "" {
		return p
	}
	if strings.Contains(text, "*") {
		return problem{quote("alias ", text, " holds a *"), "write each form, or set inflect: true; prefixes belong into needs, contexts and rules"}
	}
	return problem{}
}

// checkAmbiguous refuses an alias so short that it means something else somewhere, unless the list says what tells the meanings apart.
func (b *builder) checkAmbiguous(a *Alias, e *Entity) {
	what := ""
	switch {
	case isShort(a.Text):
		what = "is short and will mean other things too"
	case isAcronym(a.Text):
		what = "is an acronym and will mean other things too"
	}
	guarded := a.Needs != nil || a.Unless != nil || e.Needs != nil || e.Unless != nil || len(b.current.Decoys.Items) > 0 || len(b.current.Ignore) > 0
	if what == "" || guarded {
		return
	}
	b.add(a.Pos, "add needs: or unless: to the alias, decoys: to the entity, or an ignore: sentence that shows another meaning", "alias %q %s", a.Text, what)
}
