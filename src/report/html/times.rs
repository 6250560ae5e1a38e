//! Where the time went: a bar for each epoch, and figures.

use std::fmt::Display;

use super::markup::Markup;
use super::tables::table;
use super::{EpochTime, Figures, RunReport};

type Part = (&'static str, &'static str, fn(&EpochTime) -> f64);

/// The parts of an epoch, in the order of its bar: class, name, seconds.
const PARTS: [Part; 3] = [
    ("compute", "training", |time| (time.training - time.waiting).max(0.0)),
    ("wait", "waiting for data", |time| time.waiting),
    ("validate", "validation", |time| time.validation),
];

pub(super) fn section(html: &mut Markup, report: &RunReport) {
    if report.times.is_empty() && report.phases.is_empty() {
        html.words("p", &[], "No whole epoch was trained, or its times were not kept.");
        return;
    }
    if !report.times.is_empty() {
        key(html);
        bars(html, &report.times);
    }
    table(html, "Seconds of the run", &whole(report));
    if report.times.len() > 1 {
        table(html, "Seconds of each epoch", &by_epoch(&report.times));
    }
}

fn key(html: &mut Markup) {
    html.element("ul", &[("class", &"key")], |html| {
        for (class, name, _) in PARTS {
            html.element("li", &[], |html| {
                html.empty("span", &[("class", &class)]);
                html.text(name);
            });
        }
    });
}

/// All on one scale, the longest epoch as wide as the page.
fn bars(html: &mut Markup, times: &[EpochTime]) {
    let longest = times.iter().map(total).fold(f64::MIN_POSITIVE, f64::max);
    html.element("div", &[("class", &"bars")], |html| {
        for time in times {
            let label = describe(time);
            let attributes: [(&str, &dyn Display); 3] =
                [("class", &"bar"), ("role", &"img"), ("aria-label", &label)];
            html.element("div", &attributes, |html| {
                for (class, _, of) in PARTS {
                    let style = format!("width:{:.3}%", 100.0 * of(time) / longest);
                    html.empty("span", &[("class", &class), ("style", &style)]);
                }
            });
        }
    });
}

fn describe(time: &EpochTime) -> String {
    let parts = PARTS.map(|(_, name, of)| format!("{name} {} s", seconds(of(time))));
    format!("Epoch {}: {}", time.epoch, parts.join(", "))
}

fn total(time: &EpochTime) -> f64 {
    PARTS.iter().map(|(_, _, of)| of(time)).sum()
}

/// Everything that was timed, with its share.
fn whole(report: &RunReport) -> Figures {
    let epochs = PARTS
        .iter()
        .map(|(_, name, of)| ((*name).to_owned(), report.times.iter().map(of).sum::<f64>()));
    let epochs = epochs.filter(|_| !report.times.is_empty());
    let rows: Vec<(String, f64)> = epochs.chain(report.phases.iter().cloned()).collect();
    let sum = rows.iter().map(|(_, seconds)| seconds).sum::<f64>().max(f64::MIN_POSITIVE);
    let row = |(name, time): (String, f64)| {
        vec![name, seconds(time), format!("{:.1} %", 100.0 * time / sum)]
    };
    Figures {
        columns: ["what", "seconds", "share"].map(str::to_owned).to_vec(),
        rows: rows.into_iter().chain([("together".to_owned(), sum)]).map(row).collect(),
    }
}

fn by_epoch(times: &[EpochTime]) -> Figures {
    let row = |time: &EpochTime| {
        let parts = PARTS.map(|(_, _, of)| seconds(of(time)));
        let mut row = vec![time.epoch.to_string()];
        row.extend(parts);
        row.push(seconds(total(time)));
        row
    };
    let columns = ["epoch"].into_iter().chain(PARTS.map(|(_, name, _)| name)).chain(["together"]);
    Figures { columns: columns.map(str::to_owned).collect(), rows: times.iter().map(row).collect() }
}

/// Three digits of them, as far as they say something.
fn seconds(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{seconds:.3}"),
        1.0..100.0 => format!("{seconds:.2}"),
        _ => format!("{seconds:.0}"),
    }
}
