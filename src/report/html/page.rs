//! The page from top to bottom: head, style, and the order of the sections.

use super::markup::Markup;
use super::{RunReport, curves, images, model, tables, times};

const STYLE: &str = include_str!("style.css");
/// Nothing may be fetched, and nothing may run: what the page says is all there is.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

pub(super) fn page(report: &RunReport) -> String {
    let mut html = Markup::default();
    html.raw(format_args!("<!DOCTYPE html>\n"));
    html.element("html", &[("lang", &"en")], |html| {
        html.element("head", &[], |html| head(html, report));
        html.element("body", &[], |html| {
            html.element("header", &[], |html| header(html, report));
            html.element("main", &[], |html| main(html, report));
        });
    });
    html.finish()
}

fn head(html: &mut Markup, report: &RunReport) {
    html.empty("meta", &[("charset", &"utf-8")]);
    html.empty("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
    let viewport = "width=device-width, initial-scale=1";
    html.empty("meta", &[("name", &"viewport"), ("content", &viewport)]);
    html.empty("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
    // Without this a browser asks the server for an icon.
    html.empty("link", &[("rel", &"icon"), ("href", &"data:,")]);
    html.words("title", &[], format_args!("{} \u{b7} convae run", report.name));
    html.element("style", &[], |html| html.raw(format_args!("{STYLE}")));
}

fn header(html: &mut Markup, report: &RunReport) {
    html.words("h1", &[], &report.name);
    html.words("p", &[("class", &"lead")], &report.lead);
    for notice in &report.notices {
        html.words("p", &[("class", &"notice"), ("role", &"note")], notice);
    }
    tables::highlights(html, report);
    html.element("nav", &[("aria-label", &"Sections")], |html| {
        html.element("ul", &[], |html| {
            for (anchor, title, _) in sections(report) {
                html.element("li", &[], |html| {
                    html.words("a", &[("href", &format_args!("#{anchor}"))], title);
                });
            }
        });
    });
}

type Fill = fn(&mut Markup, &RunReport);

/// Anchor, headline and content of each section that has something to show.
fn sections(report: &RunReport) -> Vec<(&'static str, &'static str, Fill)> {
    let corrupted = report.levels.len() > 1;
    let levels = if corrupted { "Test images by corruption" } else { "Test images" };
    let mut sections: Vec<(&str, &str, Fill)> = vec![
        ("images", levels, images::levels),
        ("codes", "Images of codes", images::latent),
        ("metrics", "Metrics", tables::metrics),
        ("curves", "Loss", curves::section),
        ("model", "Model", model::section),
        ("best", "Best test images", images::best),
        ("worst", "Worst test images", images::worst),
        ("time", "Where the time went", times::section),
        ("environment", "Environment and seeds", tables::facts),
        ("config", "Config", tables::config),
    ];
    if report.best.is_empty() {
        sections.retain(|(anchor, ..)| !matches!(*anchor, "best" | "worst"));
    }
    if report.latent.is_none() {
        sections.retain(|(anchor, ..)| *anchor != "codes");
    }
    sections
}

fn main(html: &mut Markup, report: &RunReport) {
    for (anchor, title, fill) in sections(report) {
        let headline = format!("{anchor}-title");
        let attributes: [(&str, &dyn std::fmt::Display); 2] =
            [("id", &anchor), ("aria-labelledby", &headline)];
        html.element("section", &attributes, |html| {
            html.words("h2", &[("id", &headline)], title);
            fill(html, report);
        });
    }
}
