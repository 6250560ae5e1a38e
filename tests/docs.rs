//! The documentation holds together: its links lead somewhere, the files that it names are there, and
//! the README stays short. Whether what it says is true is for other tests.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of README.md.
const LONGEST_README: usize = 150;
/// Pages beside those in docs/.
const PAGES: [&str; 5] =
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "fuzz/README.md", "models/README.md"];
/// A word in code that begins with one of these is a file or folder of the sources.
const FOLDERS: [&str; 8] =
    ["src/", "tests/", "scripts/", "configs/", "examples/", "docs/", "fuzz/", "models/"];
/// What cargo-fuzz makes when it runs.
const NOT_THERE_YET: &str = "fuzz/corpus";

#[test]
fn every_link_leads_somewhere() {
    let faults: Vec<String> = pages()
        .iter()
        .flat_map(|page| {
            links(&Markdown::open(page)).into_iter().filter_map(|link| fault(page, &link))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_that_code_names_is_there() {
    let mut seen = 0;
    for page in pages() {
        for name in names_of_files(&Markdown::open(&page)) {
            assert!(root().join(&name).exists(), "{}: there is no {name}", shown(&page));
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} names of files were recognised");
}

#[test]
fn the_index_names_every_page() {
    let index = root().join("docs/README.md");
    let linked = links(&Markdown::open(&index));
    for page in pages_in_docs().iter().filter(|page| **page != index) {
        let name = page.file_name().unwrap().to_string_lossy();
        assert!(linked.iter().any(|link| *link == name), "docs/README.md does not link {name}");
    }
}

#[test]
fn the_readme_has_at_most_150_lines() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= LONGEST_README, "README.md has {lines} lines; move some to a page in docs/");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = root().join("docs/README.md");
    for good in ["https://rustup.rs", "speed.md", "../README.md#speed", "#documentation", "images"]
    {
        assert_eq!(fault(&page, good), None);
    }
    let bad = [
        ("no-such-page.md", "docs/README.md: no-such-page.md leads to no file"),
        ("../..", "docs/README.md: ../.. leads out of the repository"),
        ("/README.md", "docs/README.md: /README.md is not relative"),
        ("speed.md#no-such", "docs/README.md: speed.md#no-such leads to no heading"),
        ("#no-such", "docs/README.md: #no-such leads to no heading"),
        ("images/bench.png#top", "docs/README.md: images/bench.png#top leads to no heading"),
    ];
    for (link, sentence) in bad {
        assert_eq!(fault(&page, link).as_deref(), Some(sentence));
    }
}

#[test]
fn links_in_code_are_none_and_links_across_lines_are() {
    let text =
        "[a](b.md), ![c\nd](e.png), `[f](g.md)`, [`h`](i.md#j)\n```\n[k](l.md)\n```\n[m](n.md)";
    assert_eq!(links(&Markdown::new(text)), ["b.md", "e.png", "i.md#j", "n.md"]);
}

#[test]
#[should_panic(expected = "write links as [text](target)")]
fn a_link_in_another_form_is_refused() {
    links(&Markdown::new("see [a]\n\n[a]: b.md\n"));
}

#[test]
fn headings_have_the_anchors_that_github_gives_them() {
    let text = "# What `a.b`, does_it: (do)?\n```\n# a comment\n```\n## Twice\n## Twice\n";
    assert_eq!(anchors(&Markdown::new(text)), ["what-ab-does_it-do", "twice", "twice-1"]);
}

/// A page in its three kinds of text.
#[derive(Debug, Default)]
struct Markdown {
    /// Outside of code; line feeds are kept.
    prose: String,
    /// Between backticks.
    spans: Vec<String>,
    /// Between fences.
    blocks: Vec<String>,
    /// Without their marks.
    headings: Vec<String>,
}

impl Markdown {
    fn open(page: &Path) -> Self {
        Self::new(
            &fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", shown(page))),
        )
    }

    fn new(text: &str) -> Self {
        let mut markdown = Self::default();
        let mut outside = String::new();
        for (index, part) in text.split("```").enumerate() {
            if index % 2 == 1 {
                markdown.blocks.push(part.to_owned());
            } else {
                outside.push_str(part);
            }
        }
        let headings = outside.lines().filter(|line| line.starts_with('#'));
        markdown.headings = headings.map(|line| line.trim_start_matches('#').to_owned()).collect();
        for (index, part) in outside.split('`').enumerate() {
            if index % 2 == 1 {
                markdown.spans.push(part.to_owned());
            } else {
                markdown.prose.push_str(part);
            }
        }
        markdown
    }
}

/// The targets of a page's links and images.
///
/// # Panics
/// At a link that is not written as `[text](target)`, which would go unread.
fn links(markdown: &Markdown) -> Vec<String> {
    for line in markdown.prose.lines() {
        let other = line.starts_with('[') && line.contains("]: ")
            || line.contains("href=")
            || line.contains("src=");
        assert!(!other, "write links as [text](target), not: {line}");
    }
    let targets = markdown.prose.split("](").skip(1);
    targets.map(|rest| rest.split(')').next().unwrap_or_default().to_owned()).collect()
}

/// What is wrong with a page's link, if anything; the internet is not asked.
fn fault(page: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let say = |complaint: &str| Some(format!("{}: {link} {complaint}", shown(page)));
    if link.starts_with('/') {
        return say("is not relative");
    }
    let (path, anchor) =
        link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
    let Ok(target) = target.canonicalize() else {
        return say("leads to no file");
    };
    if !target.starts_with(root().canonicalize().unwrap()) {
        return say("leads out of the repository");
    }
    let anchor = anchor?;
    let is_page = target.extension().is_some_and(|extension| extension == "md");
    if is_page && anchors(&Markdown::open(&target)).iter().any(|known| known == anchor) {
        return None;
    }
    say("leads to no heading")
}

/// The anchors of a page's headings, as GitHub makes them: small letters, digits, `-` and `_`, with `-`
/// for a space; a heading that is there again gets a number.
fn anchors(markdown: &Markdown) -> Vec<String> {
    let mut times: HashMap<String, usize> = HashMap::new();
    let slug = |heading: &String| -> String {
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
    };
    let number = |slug: String| {
        let before = times.entry(slug.clone()).or_default();
        *before += 1;
        if *before == 1 { slug } else { format!("{slug}-{}", *before - 1) }
    };
    markdown.headings.iter().map(slug).map(number).collect()
}

/// The files and folders of the sources that a page names in code; not patterns with `*`.
fn names_of_files(markdown: &Markdown) -> Vec<String> {
    let code = markdown.spans.iter().chain(&markdown.blocks);
    let words = code.flat_map(|text| text.split_whitespace());
    let names = words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
    names
        .filter(|word| !word.contains('*') && !word.starts_with(NOT_THERE_YET))
        .map(str::to_owned)
        .collect()
}

fn pages() -> Vec<PathBuf> {
    PAGES.iter().map(|page| root().join(page)).chain(pages_in_docs()).collect()
}

fn pages_in_docs() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("docs")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let pages: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    assert!(pages.contains(&root().join("docs/README.md")), "docs/ has no index");
    pages
}

/// A page's name below the repository.
fn shown(page: &Path) -> String {
    page.strip_prefix(root()).unwrap_or(page).display().to_string()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
