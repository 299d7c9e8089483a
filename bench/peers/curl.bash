#!/usr/bin/env bash
# Submits jobs and sweeps over those in flight once a second, as one would by hand; AT_ONCE of JOBS are in flight.
set -euo pipefail

submitted=0
: > open
while (( submitted < JOBS )) || [[ -s open ]]; do
  room=$(( AT_ONCE - $(wc -l < open) ))
  (( room > JOBS - submitted )) && room=$(( JOBS - submitted ))
  if (( room > 0 )); then
    for (( job = 0; job < room; job++ )); do printf 'url = "%s/jobs"\nrequest = POST\n' "$TARGET"; done > posts
    curl --silent --parallel --parallel-max 50 --no-progress-meter --config posts | jq --raw-output .id >> open
    submitted=$(( submitted + room ))
  fi
  sleep 1
  sed "s|.*|url = \"$TARGET/jobs/&\"|" open > gets
  curl --silent --parallel --parallel-max 50 --no-progress-meter --config gets |
    jq --raw-output 'select(.status != "done") | .id' > still
  mv still open
done
