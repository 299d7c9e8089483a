# Makes `make help` from the Makefile: `##@ Section`, `## text` above `NAME ?= default`, `target: … ## text`. make exports the
# variables, so that the help shows their values.
/^##@ / { section = substr($0, 5); next }
/^## / { text = substr($0, 4); next }
/^[A-Z_]+ \?=/ && text != "" {
  value = ENVIRON[$1] == "" ? "" : " [" ENVIRON[$1] "]"
  variables = variables head("variables", section) sprintf("  %-14s %s%s\n", $1, text, value)
  # A variable below shares the text.
  next
}
/^[a-z0-9-]+:.* ## / {
  name = $1
  sub(/:.*/, "", name)
  help = $0
  sub(/.* ## /, "", help)
  targets = targets head("targets", section) sprintf("  make %-12s %s\n", name, help)
}
{ text = "" }
END { printf "%s\nVariables, with their values; set them as in `make soak JOBS=20`:\n%s", substr(targets, 2), variables }

# The section's title, once in each list.
function head(list, title) {
  if (title == "" || (list, title) in seen) return ""
  seen[list, title] = 1
  return "\n" title ":\n"
}
