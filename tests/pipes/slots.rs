//! The closed model where jobs come into it that had been submitted before.

use crate::shell::Shell;

#[test]
fn jobs_that_are_in_flight_already_hold_slots() {
    // Their first stage takes seconds, so they are in flight until long after the others were read.
    let shell = Shell::new(&["--stage-time", "whisper=200s"]);
    let done = shell.run(
        "stage() { stage-fixtures --from $FIXTURES --into data/fixtures --run r1 --prefix $1 --jobs 2; }
         stage early | submit-jobs --max-posts 2 > early || exit
         { cat early; stage late; } |
         submit-jobs --concurrency 2 --slots slots | poll-jobs --slots slots --min-interval 5ms > all || exit
         jq -r 'select(.kind == \"Job\" and .status.phase == \"Succeeded\") | .metadata.name' all | sort",
    );
    assert_eq!((done.code, done.stdout.as_str()), (0, "early-001\nearly-002\nlate-001\nlate-002\n"), "{}", done.stderr);
    assert_eq!(shell.target.sim.stats().peak_unfinished, 2, "concurrency 2 is 2 in flight, whoever submitted them");
}
