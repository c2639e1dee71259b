package notifier

// LanguageName is the English name of the language of a BCP 47 tag, the tag itself where we know no name, and "" for an unknown language.
func LanguageName(tag string) string { return languageName(langOf(tag)) }
