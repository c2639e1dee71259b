package notifier

import "strings"

// Markdown escapes a text so that it stays text in the Markdown of chats, and calls nobody.
func Markdown(s string) string {
	return strings.NewReplacer(
		`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "~", `\~`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`, "#", `\#`, "|", `\|`, ">", `\>`, "!", `\!`,
		"@", "@\u200B", "＠", "＠\u200B", "<", "\\<\u200B",
	).Replace(s)
}

// MarkdownLink is a link with its host for text, "" without an address. Characters that would end the address are written as %XX.
func MarkdownLink(url, host string) string {
	if url == "" {
		return ""
	}
	safe := strings.NewReplacer("(", "%28", ")", "%29", "<", "%3C", ">", "%3E", `\`, "%5C", "*", "%2A", "~", "%7E", "|", "%7C", "[", "%5B", "]", "%5D").Replace(url)
	return "[" + Markdown(host) + "](" + safe + ")"
}
