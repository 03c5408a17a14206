//! What blocks of code the pages have, and what they may say of themselves.

use std::fs;

use test_support::repository;

/// Pages for people, from the front door inwards.
pub const PAGES: [&str; 16] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "charts/amigo-operator/README.md",
    "docs/index.md",
    "docs/install.md",
    "docs/first-request.md",
    "docs/operations.md",
    "docs/gitops.md",
    "docs/admission.md",
    "docs/cli.md",
    "docs/concepts.md",
    "docs/limits.md",
    "docs/metrics.md",
    "docs/reliability.md",
    "docs/security.md",
];

/// A block of code, and what stands before it in its section.
#[derive(Debug)]
pub struct Block {
    /// What follows the three ticks.
    pub kind: String,
    /// What is between the ticks.
    pub text: String,
    /// The section's text so far.
    pub before: String,
}

/// The text of a page.
pub fn page(name: &str) -> String {
    fs::read_to_string(repository(name)).expect(name)
}

/// The blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = String::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.extend([line, "\n"]),
            (None, Some(kind)) => {
                open = Some(Block { kind: kind.to_owned(), text: String::new(), before: before.clone() });
            }
            (None, None) if line.starts_with('#') => line.clone_into(&mut before),
            (None, None) => before.extend([line, "\n"]),
        }
    }
    blocks
}

#[test]
fn every_page_is_read() {
    let listed = |folder: &str| {
        let files = fs::read_dir(repository(folder)).expect("a folder").map(|file| file.expect("a file").file_name());
        files.filter_map(|name| Some(name.to_str()?.to_owned())).collect::<Vec<_>>()
    };
    for name in listed("docs") {
        // Made from the types.
        let known = name == "reference.md" || PAGES.contains(&format!("docs/{name}").as_str());
        assert!(known, "docs/{name} is not among the pages");
    }
}

#[test]
fn every_block_says_what_it_is() {
    let makefile = page("Makefile");
    for (name, block) in PAGES.iter().flat_map(|name| blocks(&page(name)).into_iter().map(move |block| (name, block))) {
        let Block { kind, text, before } = &block;
        match kind.as_str() {
            "sh" | "sh nodes" | "console" | "yaml" | "text" | "promql" | "mermaid" => {}
            "sh account" => assert!(before.contains("real Amigo account"), "{name} does not say so before\n{text}"),
            "sh build" => assert!(text.starts_with("cargo install --locked --path . --bin "), "{name}: {text}"),
            "sh make" => {
                for line in text.lines() {
                    let target = line.strip_prefix("make ").and_then(|rest| rest.split(' ').next());
                    let target = target.expect(line);
                    assert!(makefile.contains(&format!("\n{target}:")), "{name}: the Makefile has no {target}");
                }
            }
            kind => unreachable!("{name}: nobody runs a block {kind:?}:\n{text}"),
        }
    }
}

#[test]
fn console_blocks_are_only_on_replayed_pages() {
    let has_console = |name: &&&str| blocks(&page(name)).iter().any(|block| block.kind == "console");
    let with: Vec<_> = PAGES.iter().filter(has_console).collect();
    // README.md shows what its own commands print: see `reader`.
    assert_eq!(with, [&"README.md", &"docs/admission.md", &"docs/cli.md"]);
}

#[test]
fn links_lead_somewhere() {
    for name in PAGES {
        let folder = repository(name).parent().expect("a folder").to_owned();
        let text = page(name);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.starts_with("http") {
                continue;
            }
            let path = if file.is_empty() { repository(name) } else { folder.join(file) };
            assert!(path.exists(), "{name}: nothing is at {target}");
            if !anchor.is_empty() {
                let linked = fs::read_to_string(&path).expect("a page");
                let anchors: Vec<String> = linked.lines().filter(|line| line.starts_with('#')).map(slug).collect();
                assert!(anchors.iter().any(|one| one == anchor), "{name}: {target} is not a heading");
            }
        }
    }
}

/// A heading's anchor, as sites that show Markdown make it.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().replace(' ', "-")
}
