# Makes `make help` from the Makefile: `##@ Section`, `## text` above `NAME ?= default`, `target: … ## text`.
/^##@ / { section = substr($0, 5); next }
/^## / { text = substr($0, 4); next }
/^[A-Z_]+ \?=/ && text != "" {
  name = $1
  value = $0
  sub(/^[A-Z_]+ \?= ?/, "", value)
  variables = variables head("variables", section) sprintf("  %-14s %s [%s]\n", name, text, value)
}
/^[a-z-]+:.* ## / {
  name = $1
  sub(/:.*/, "", name)
  help = $0
  sub(/.* ## /, "", help)
  targets = targets head("targets", section) sprintf("  make %-12s %s\n", name, help)
}
{ text = "" }
END { printf "%s\nVariables, as in `make soak JOBS=20`:\n%s", substr(targets, 2), variables }

# The section's title, once in each list.
function head(list, title) {
  if (title == "" || (list, title) in seen) return ""
  seen[list, title] = 1
  return "\n" title ":\n"
}
