# Prints a refusal of each variable of a make command line that the Makefile does not have. The arguments are the names on the command
# line; `known` holds those of the Makefile. A variable that the tools, cargo, bash or git read is allowed, because make passes it on to
# them, unless its name resembles one of `known`.
BEGIN {
  split(known, names, " ")
  for (i in names) is_known[names[i]] = 1
  for (i = 1; i < ARGC; i++) {
    if (ARGV[i] in is_known || ARGV[i] ~ /^(JAEGER_UI|OLLAMA_NUM_PARALLEL|PIPELINE_SIM_AMQP|CI|TERM|NO_COLOR)$/) continue
    least = 99
    for (j in names) {
      d = distance(toupper(ARGV[i]), names[j])
      if (d < least || d == least && names[j] < nearest) { least = d; nearest = names[j] }
    }
    # Short names need more in common: a typo is at most a third of the name.
    if (3 * least <= length(ARGV[i])) printf "%s is not a variable: did you mean %s? ", ARGV[i], nearest
    else if (ARGV[i] !~ /^(CARGO|RUST|GIT|SHELL|MAKE|GNUMAKE|STRESS_SUITE|SOURCE_DATE)/)
      printf "%s is not a variable: make help lists them ", ARGV[i]
  }
}

# The number of letters to insert, remove, replace or swap with their neighbour that make `b` of `a`.
function distance(a, b,    i, j, cost, d, n, m) {
  n = length(a); m = length(b)
  for (i = 0; i <= n; i++) d[i, 0] = i
  for (j = 0; j <= m; j++) d[0, j] = j
  for (i = 1; i <= n; i++)
    for (j = 1; j <= m; j++) {
      cost = substr(a, i, 1) != substr(b, j, 1)
      d[i, j] = min(d[i - 1, j - 1] + cost, min(d[i - 1, j], d[i, j - 1]) + 1)
      if (i > 1 && j > 1 && substr(a, i, 1) == substr(b, j - 1, 1) && substr(a, i - 1, 1) == substr(b, j, 1))
        d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    }
  return d[n, m]
}

function min(a, b) { return a < b ? a : b }
