//! The chart of the differences: names in full, no wider than a phone; and no difference is not written as an equation.

use std::fs;

use serde_json::json;

use crate::legs::{Leg, LegsOnDisk, in_turns};
use crate::markup::visible_text;

fn page(mut legs: Vec<Leg>) -> String {
    for leg in &mut legs {
        for name in ["queues.stage.summarize_l1.readyMax", "queues.stage.summarize_l2.readyMax"] {
            leg.figures().insert(name.to_owned(), json!(4.0));
        }
    }
    let disk = LegsOnDisk::write(legs);
    let out = disk.path("ab");
    let ran = disk.compare(&["--out", out.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    fs::read_to_string(out.join("report.html")).unwrap()
}

#[test]
fn names_stand_in_full_and_every_panel_fits_a_phone() {
    let page = page(in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5]));
    for name in ["queue stage.summarize_l1, highest depth", "queue stage.summarize_l2, highest depth"] {
        assert!(page.contains(&format!(">{name}</text>")), "{name}");
    }
    let drawings: Vec<&str> = page.split("<svg id=\"differences-0-").skip(1).collect();
    assert_eq!(drawings.len(), 3, "jobs, stages, queues");
    for drawing in drawings {
        let (_, width) = drawing.split_once(" width=\"").unwrap();
        assert!(width.split('"').next().unwrap().parse::<f64>().unwrap() <= 360.0, "{width}");
        assert!(drawing.contains("class=\"whisker\""), "each panel has its intervals");
    }
}

#[test]
fn no_difference_is_no_equation() {
    let text = visible_text(&page(in_turns([20.0, 22.0, 21.0], [21.5, 24.0, 23.0])));
    assert!(text.contains("○ No difference shown np-4 against np-8"), "{text}");
    assert!(text.contains("end to end, median: no difference shown: +8.7 %"), "{text}");
    assert!(!text.contains("= +") && !text.contains("= −") && !text.contains("= Not"), "{text}");
}
